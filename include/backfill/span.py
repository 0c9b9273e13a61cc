"""The date range of a backfill: whole arrival hours that are over and that the chain of plans knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from include import plans
from include.errors import SetupError
from include.plans import PlanStore

HOUR = timedelta(hours=1)
MOST = timedelta(days=366)


class Span(msgspec.Struct, frozen=True):
    """Hours [start, end), and what had to be changed about what was asked for."""

    start: datetime
    end: datetime
    notes: tuple[str, ...] = ()

    @property
    def hours(self) -> int:
        """Number of hours, each of which is one run of settle_hour."""
        return (self.end - self.start) // HOUR

    def __str__(self) -> str:
        """Return the range as people read it."""
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"


def moment(text: str) -> datetime:
    """Read a date or a time in ISO form, UTC where it has no offset; raises SetupError."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise SetupError(f"{text!r} is not a time: write 2026-11-22, 2026-11-22T05 or 2026-11-22T05:30") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def whole_hours(start: datetime, end: datetime, now: datetime) -> Span:
    """Return the hours that [start, end) touches.

    Raises:
        SetupError: the range is empty, longer than a year, or reaches into the running hour or the future.

    """
    if start >= end:
        day = f"; for the whole of {start:%Y-%m-%d} say to {start + timedelta(days=1):%Y-%m-%d}" if start == end else ""
        raise SetupError(f"the range is empty: its end, {end:%Y-%m-%d %H:%M}, is exclusive{day}")
    if end - start > MOST:
        raise SetupError(f"the range has {(end - start).days} days; the most is {MOST.days}: run it in pieces")
    first, last = _floor(start), _floor(end - timedelta(microseconds=1)) + HOUR
    over = _floor(now)
    if last > over:
        when = "the hour that is running" if first <= over < last else "the future"
        raise SetupError(
            f"the range reaches into {when}: hours are settled when they are over, so the last end is "
            f"{over:%Y-%m-%dT%H:%M} now"
        )
    note = f"settle_hour works on whole hours: {first:%H:%M} to {last:%H:%M} instead of {start:%H:%M} to {end:%H:%M}"
    return Span(first, last, (note,) if (first, last) != (start, end) else ())


def within_chain(store: PlanStore, span: Span) -> Span:
    """Return the part of a span that the chain of plans has.

    Raises:
        SetupError: there is no plan in it, with the range that there is.

    """
    oldest, newest = store.read(1), plans.latest(store)
    if oldest is None or newest is None:
        raise SetupError("there is no plan yet: stage_events has not run, so there is nothing to repair")
    first, last = _floor(oldest.interval_start), newest.interval_end
    if span.end <= first or span.start >= last:
        raise SetupError(
            f"no plan is in {span}: the first event was planned at {first:%Y-%m-%d %H:%M}, the newest plan ends at "
            f"{last:%Y-%m-%d %H:%M}; what arrived later is waiting for stage_events"
        )
    if span.start >= first:
        return span
    note = f"before {first:%Y-%m-%d %H:%M} nothing was planned, so the range begins there"
    return Span(first, span.end, (*span.notes, note))


def _floor(when: datetime) -> datetime:
    return when.replace(minute=0, second=0, microsecond=0)
