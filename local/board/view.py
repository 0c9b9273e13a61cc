"""What the board shows, put into words: the same numbers for the terminal's tables and for plain lines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.board.intervals import IntervalState
from local.board.snapshot import Counts, Snapshot
from local.board.traffic import Sent
from local.watch import PartStatus

STEPS = ("ready", "done")


@dataclass(frozen=True, slots=True)
class View:
    """Everything that one picture of the board is made of."""

    seconds: float
    parts: tuple[PartStatus, ...]
    sent: Sent
    snapshot: Snapshot
    before: Counts
    """The counts with which this run began; state survives a restart."""
    links: tuple[tuple[str, str], ...] = ()
    first_arrival_seconds: float | None = None


def number(value: int | None) -> str:
    """Return a count for people."""
    return "-" if value is None else f"{value:,}"


def event_rows(view: View) -> list[tuple[str, str, str]]:
    """Return (hop, this run, since the state was made) in the order of the way."""
    counts, new = view.snapshot.counts, view.snapshot.counts.since(view.before)
    rows: list[tuple[str, int | None, int | None]] = [
        ("staged", new.staged, counts.staged),
        ("failed", new.failed, counts.failed),
        ("loaded", new.loaded, counts.loaded),
        ("duplicates removed", new.duplicates, counts.duplicates),
        ("published", new.published, counts.published),
        ("without consent", new.withheld, counts.withheld),
        ("at the vendor", new.vendor, counts.vendor),
    ]
    client = [
        ("posted here", number(view.sent.posted), ""),
        # The API counts since its start, other clients' events included.
        ("acknowledged (all)", number(counts.acknowledged), ""),
    ]
    if view.sent.unanswered:
        client.append(("not acknowledged", number(view.sent.unanswered), ""))
    return [*client, *((name, number(now), number(total)) for name, now, total in rows)]


def latency_rows(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return freshness and end-to-end latency."""
    latency = snapshot.latency
    if latency is None or latency.newest_received_at is None:
        return [("freshness", "-"), ("post → EVENTS p50 / p95", "-")]
    age = snapshot.taken_at.replace(tzinfo=None) - latency.newest_received_at
    return [
        ("freshness", f"{age.total_seconds():.0f} s"),
        ("post → EVENTS p50 / p95", f"{latency.p50_seconds:.1f} s / {latency.p95_seconds:.1f} s"),
    ]


def interval_row(state: IntervalState) -> tuple[str, str, str, str, str]:
    """Return interval, records, events, failed, and how far it has come with the seconds since the interval's end."""
    start, end = state.plan.interval_start, state.plan.interval_end
    reached = {"loaded": state.loaded_at, "published": state.published_at, "at vendor": state.published_at}
    moment = reached.get(state.step)
    after = "" if moment is None else f" +{_seconds(moment, end):.0f} s"
    label = f"{start:%H:%M}-{end:%H:%M}" if end - start >= timedelta(minutes=1) else f"{start:%H:%M:%S}"
    return (
        label, number(state.plan.envelopes), number(state.events), number(state.failed),
        f"{state.step}{after if state.step != 'at vendor' else ''}",
    )  # fmt: skip


def restarted(times: int) -> str:
    """Return how often in words."""
    return f"{times} restart{'' if times == 1 else 's'}"


def parts_line(parts: tuple[PartStatus, ...]) -> str:
    """Return the health of all parts in one line."""
    ill = [f"{part.name} {part.state}" for part in parts if part.state not in STEPS]
    restarts = sum(part.restarts for part in parts)
    again = f", {restarted(restarts)}" if restarts else ""
    services = [part for part in parts if part.state != "done"]
    return f"{', '.join(ill)}{again}" if ill else f"all {len(services)} parts serve{again}"


def plain_line(view: View) -> str:
    """Return everything in one line, for an output that is no terminal."""
    counts = " · ".join(f"{name} {now}" for name, now, _ in event_rows(view))
    speed = " · ".join(f"{name} {value}" for name, value in latency_rows(view.snapshot))
    last = (
        f" · last interval {' '.join(interval_row(view.snapshot.intervals[-1])[::4])}"
        if view.snapshot.intervals
        else ""
    )
    problems = "".join(f" · {problem}" for problem in view.snapshot.problems)
    return f"{counts} · {speed}{last} · {parts_line(view.parts)}{problems}"


def next_interval_seconds(now: datetime | None = None) -> float:
    """Return how long the minute still lasts, after which the next events are staged."""
    return 60 - (now or datetime.now(UTC)).timestamp() % 60


def _seconds(moment: datetime, end: datetime) -> float:
    return (moment.replace(tzinfo=UTC) - end).total_seconds()
