"""The report of a kill audit, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tests.faults.audit_bulk import EVENTS
from tests.faults.audit_found import Found, Size

_SET_UP = """
One broker (`LogAppendTime`, `flush.messages=1`, 4 partitions); {size.api_processes} API processes that share one
spool folder; {size.bulk_clients} bulk clients with {size.connections} connections each, at
{size.events_per_second:,.0f} events/s in all (own dialect, Amplitude, Segment, with the same ids in three sources);
{sdks} published SDKs, unmodified, in a loop.

A bulk client writes every id to its ledger before it sends it and after it was acknowledged, and repeats a request
with the same bytes on anything but 200. Afterwards the pipeline's own steps stage and load the topic. The auditor
shares no code with API or pipeline; a test shows that it finds a lost, a doubled and a foreign id.

A kill is not a power cut: what a killed process had written stays in the kernel's memory. That an answer waits for the
fsync is shown by the spool's own tests.
"""
_ABOUT_CLIENTS = """
Distinct ids. What is in `EVENTS` and was not acknowledged was stored without its client hearing the answer. For an SDK
*acknowledged* is what the SDK itself reported as delivered:
"""


def markdown(found: Found, size: Size) -> str:
    """Return the report."""
    parts = (_head(found, size), _verdict(found), _clients(found), _strikes(found), _between(found), _set_up(size))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(found: Found, size: Size) -> Iterator[str]:
    acknowledged = sum(len(ledger.acknowledged) for ledger in found.ledgers.values())
    verdict = found.verdict
    lost = sum(map(len, verdict.lost.values())) if verdict else 0
    twice = len(verdict.twice) if verdict else 0
    killing, whole = _minutes(found.killing_seconds), _minutes(found.seconds)
    yield "# Kill audit"
    yield ""
    yield "`SIGKILL` of the ingest API, of the broker and of both, at random moments under load; then every event that"
    yield "a client was told is safe is looked for in the warehouse. Written by `python -m tests.faults.kill_audit`"
    yield "(`make faults` runs the same audit)."
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| date | {found.began_at:%Y-%m-%d} |"
    yield "| machine | Linux x86-64, 2 shared virtual cores, everything on the same one |"
    yield f"| seed | {found.seed} |"
    yield f"| strikes | **{found.tally.strikes:,}**, {found.tally.processes:,} processes killed |"
    yield f"| clients | {size.bulk_clients} bulk clients, {len(size.sdks)} published SDKs |"
    yield f"| distinct events acknowledged | **{acknowledged:,}** |"
    yield f"| of them not in `EVENTS` | **{lost:,}** |"
    yield f"| in `EVENTS` more than once | **{twice:,}** |"
    yield f"| duration | {killing} of killing, {whole} with draining and loading |"


def _verdict(found: Found) -> Iterator[str]:
    problems = found.all_problems()
    yield "## Verdict"
    yield ""
    if problems:
        yield from (f"- **{problem}**" for problem in problems)
        return
    yield "Nothing is lost and nothing is there twice. Ids are compared as sets:"
    yield ""
    yield "- acknowledged to a client and not in `EVENTS`: 0"
    yield "- acknowledged to a client and not in Kafka: 0"
    yield "- in Kafka and not in `EVENTS`: 0"
    yield "- in `EVENTS` and not in Kafka, or sent by nobody: 0"
    yield "- more than once in `EVENTS`: 0"
    yield "- in `FAILED_EVENTS`: 0"


def _clients(found: Found) -> Iterator[str]:
    yield "## Clients"
    yield ""
    yield "| client | sent | acknowledged | in `EVENTS` | lost | twice |"
    yield "|---|--:|--:|--:|--:|--:|"
    counts, verdict = found.warehouse.events, found.verdict
    for name, ledger in found.ledgers.items():
        there = ledger.sent & counts.keys()
        twice = sum(counts[key] > 1 for key in there)
        lost = len(verdict.lost[name]) if verdict else 0
        row = (len(ledger.sent), len(ledger.acknowledged), len(there), lost, twice)
        yield f"| {name} | {_cells(row)} |"
    yield ""
    yield _ABOUT_CLIENTS.strip()
    yield ""
    yield "| SDK | runs | calls | delivered | given up by the SDK | never decided | drivers that ended badly |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for name, one in found.sdks.items():
        numbers = (one.runs, one.calls, one.delivered, one.given_up, one.undecided, len(one.problems))
        yield f"| {name} | {_cells(numbers)} |"


def _strikes(found: Found) -> Iterator[str]:
    tally = found.tally
    yield "## Strikes"
    yield ""
    yield "| killed | strikes |"
    yield "|---|--:|"
    yield from (f"| {kind} | {count:,} |" for kind, count in tally.killed.most_common())
    yield ""
    yield f"- killed again within a second: {tally.again:,}"
    yield f"- frozen (`SIGSTOP`) for up to 6 s, then killed: {tally.frozen_before:,}"
    yield f"- frozen and let go on, beside the strikes: {tally.frozen.total():,}"
    yield f"- starts of the API {found.api_starts:,}, of the broker {found.broker_starts:,}"


def _between(found: Found) -> Iterator[str]:
    topic, bulk = found.topic, found.bulk.values()
    new, repeated = sum(counts.requests for counts in bulk), sum(counts.repeated for counts in bulk)
    yield "## In between"
    yield ""
    yield f"- bulk requests of {EVENTS} events: {new:,} new ones, {repeated:,} more with the bytes of an earlier one"
    yield f"- attempts: {sum(counts.attempts for counts in bulk):,}; answers by status: {_listed(found.statuses())}"
    yield f"- attempts without an answer: {_listed(found.errors())}"
    yield f"- connections opened: {sum(counts.opened for counts in bulk):,}"
    yield f"- requests given up: {sum(counts.given_up for counts in bulk):,}"
    yield f"- records in Kafka: {topic.records:,}, of them {topic.spooled:,} by way of a spool,"
    yield f"  {topic.twice:,} a second time (spooled, or sent again by a spool, although Kafka had taken them)"
    yield f"- events in Kafka: {topic.ids.total():,}, distinct {len(topic.ids):,}"
    yield f"- spool files of dead processes adopted: {found.adopted_files:,}, with {found.adopted_records:,} records"
    yield f"- API processes that ended by themselves, their worker killed: {found.ended_by_itself:,}"
    yield f"- logged by the API above level info: {_listed(found.logged)}"
    yield f"- loaded in {found.plans:,} plans within {_minutes(found.load_seconds)}"


def _set_up(size: Size) -> Iterator[str]:
    yield "## Set-up"
    yield ""
    yield _SET_UP.format(size=size, sdks=len(size.sdks)).strip()


def _cells(numbers: Iterable[int]) -> str:
    return " | ".join(f"{number:,}" for number in numbers)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes"


def _listed(counts: Mapping[int, int] | Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items(), key=str)) or "none"
