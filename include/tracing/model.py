"""The result of a trace as structs, for the command's table and any UI."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Literal

import msgspec

Place = Literal["EVENTS", "FAILED_EVENTS", "lake", "topic"]


class Limits(msgspec.Struct, frozen=True):
    """How much is searched: in EVENTS, and for what the warehouse does not have."""

    plans: int = 20
    records: int = 20_000
    occurred_on: date | None = None
    """Only this date of EVENTS is searched."""


class Step(msgspec.Struct, frozen=True):
    """One hop: its name, when (UTC; None where it has no time or has not happened), and what is known of it."""

    name: str
    at: datetime | None
    text: str
    after_s: float | None = None
    """Seconds since the last hop before it that has a time."""


class Where(msgspec.Struct, frozen=True):
    """Where one copy of the event lay in Kafka, and the plan that took it; `sequence` is None behind the last plan."""

    topic: str
    partition: int
    offset: int
    index: int
    sequence: int | None = None


class Story(msgspec.Struct, frozen=True):
    """One row, or one copy on its way: how far it came, and all its hops."""

    place: Place
    source_id: str
    event_id: str
    event_name: str | None
    where: Where
    steps: tuple[Step, ...]


class Trace(msgspec.Struct, frozen=True):
    """Everything found about an event id, and sentences that say what was searched."""

    event_id: str
    source_id: str | None
    stories: tuple[Story, ...]
    searched: tuple[str, ...]


def timed(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps with the seconds since the one before."""
    done: list[Step] = []
    before: datetime | None = None
    for step in steps:
        passed = None if before is None or step.at is None else (step.at - before).total_seconds()
        done.append(msgspec.structs.replace(step, after_s=passed))
        before = step.at or before
    return tuple(done)


def utc(moment: datetime | None) -> datetime | None:
    """Return a time of the warehouse, which has no zone, as UTC."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
