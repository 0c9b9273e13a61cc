"""The report of a crash audit, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.faults.crash_found import Found
from tests.faults.crash_tally import KILL, OVERTAKEN_KILLED, PART

_HEAD = """
# Crash audit

`SIGKILL` of every step of the pipeline at its boundaries, and of the parts under it, while events come in of which
about 30 % are repetitions; then each id is looked for at every hop, and everything is compared with a twin that
nothing happened to. Written by `python -m tests.faults.crash_audit --report docs/crash-audit.md` (benchmark B9;
`--crashes` and `--seed` say how many and which). `make faults` runs the same audit, `make test` a small one.
"""
_METHOD = """
A step is the task body of the DAG itself, with the connections and the data interval that Airflow would give it. It
runs in a process of its own, forked from one that has imported everything and opened nothing. A boundary is a place
where a step changes or asks something outside its process, before and after; there the process stops, and the audit
decides its fate: most often `SIGKILL`. The step is then attempted again, as Airflow does, and may be killed again,
ten times in a row and more. The schedule of kills comes from the seed and prefers boundaries at which little has died
so far. Boundaries that only a failing attempt passes, such as `ROLLBACK`, are hit by chance and not listed.

Azurite is ended in good order (`SIGTERM`) and not killed: killed, it forgets what it acknowledged in the last seconds,
as no storage account does. Kafka names its own address to its clients, so its network is cut by freezing the broker;
the other parts are behind a TCP proxy.

In every third round nobody but `settle_hour` drains, seals and loads. The auditor reads Kafka, Parquet, tables and
vendor with code of its own. The twin is the same topic carried by the same steps in the same intervals into an own
database, container and vendor. Compared are the bytes of every blob and every column of every row but these: of a
load's id the random attempt, and of the times of loading, publishing and answering only whether they are set.
`tests/faults/test_crash_audit.py` shows that a planted loss, a double and an altered row are found.
"""


def markdown(found: Found) -> str:
    """Return the report."""
    parts = (_head(found), _verdict(found), _hops(found), _twin(found), _strikes(found), _boundaries(found))
    return "\n\n".join(["\n".join(part) for part in parts] + ["## How it was measured\n\n" + _METHOD.strip()]) + "\n"


def _head(found: Found) -> Iterator[str]:
    sent, tally = found.ledger.sent, found.tally
    yield _HEAD.strip()
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| date | {found.began_at:%Y-%m-%d} |"
    yield "| machine | Linux x86-64, 2 shared virtual cores, everything on the same one |"
    yield f"| seed | {found.seed} |"
    yield f"| crashes | **{tally.crashed:,}** at {len({*tally.crashes}):,} boundaries |"
    yield f"| attempts at steps | {tally.attempts.total():,} in {found.rounds:,} rounds |"
    yield f"| events sent | {sent.total():,}, {found.repeated_share:.0%} of them repetitions |"
    yield f"| distinct events | **{len(sent):,}**, {len(found.ledger.failed):,} of them failing a gate |"
    yield f"| missing | **{found.missing:,}** |"
    yield f"| twice | **{found.twice:,}** |"
    yield f"| rows that differ from the twin's | **{_differing(found):,}** |"
    minutes, twin = found.crashing_seconds / 60, found.twin_seconds / 60
    yield f"| duration | {minutes:.1f} minutes of crashing, {twin:.1f} minutes for the twin |"


def _differing(found: Found) -> int:
    return sum(((one.audited - one.twin) + (one.twin - one.audited)).total() for one in found.compared)


def _verdict(found: Found) -> Iterator[str]:
    yield "## Verdict"
    yield ""
    problems = found.all_problems()
    if problems:
        yield from (f"- **{problem}**" for problem in problems)
    else:
        yield "Nothing is missing, nothing is there twice, and the twin is equal row by row."
    untouched = found.tally.untouched()
    if untouched:
        yield ""
        yield f"Boundaries at which nothing died: {'; '.join(untouched)}."


def _hops(found: Found) -> Iterator[str]:
    yield "## Hops"
    yield ""
    yield "| from, to | expected | found | missing | twice | foreign |"
    yield "|---|--:|--:|--:|--:|--:|"
    for hop in found.hops:
        numbers = (hop.expected, hop.found, hop.missing, hop.twice, hop.foreign)
        yield f"| {hop.name} | {' | '.join(f'{number.total():,}' for number in numbers)} |"
    yield ""
    yield f"Sent again, by way: {_listed(found.ledger.repeated)}."


def _twin(found: Found) -> Iterator[str]:
    yield "## Twin"
    yield ""
    yield "| | rows | rows of the twin | differing |"
    yield "|---|--:|--:|--:|"
    for one in found.compared:
        differing = ((one.audited - one.twin) + (one.twin - one.audited)).total()
        yield f"| {one.name} | {one.audited.total():,} | {one.twin.total():,} | {differing:,} |"


def _strikes(found: Found) -> Iterator[str]:
    tally = found.tally
    yield "## What happened"
    yield ""
    yield "| | times |"
    yield "|---|--:|"
    yield from (f"| {kind} | {count:,} |" for kind, count in tally.kinds.most_common())
    yield ""
    counted = f"{KILL}; {OVERTAKEN_KILLED}; {PART}"
    yield f"As crashes count: {counted}."
    yield ""
    yield f"- parts that died: {_listed(tally.parts)}"
    yield f"- network: {_listed(tally.network)}; answers dropped by the proxies: {_listed(found.lost_answers)}"
    yield f"- attempts by step: {_listed(tally.attempts)}"
    yield f"- errors that the next attempt made good: {_listed(tally.errors)}"
    yield f"- threads of the process that steps are forked from, beside its first: {', '.join(found.threads) or 'none'}"


def _boundaries(found: Found) -> Iterator[str]:
    yield "## Boundaries"
    yield ""
    yield "| step | boundary | crashes |"
    yield "|---|---|--:|"
    for step, seen in found.tally.boundaries.items():
        yield from (f"| {step} | {name} | {found.tally.crashes[step, name]:,} |" for name in seen)


def _listed(counts: Mapping[str, int] | Counter[str]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items())) or "none"
