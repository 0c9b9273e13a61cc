"""What the traffic generator is asked for and what it plans."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

SOURCES = ("phone-app", "web-app", "car-app")
MAX_EVENTS_PER_REQUEST = 500

Ratio = Annotated[float, Meta(ge=0, le=1)]


class TrafficConfig(msgspec.Struct, frozen=True):
    """The same configuration gives the same bytes.

    Times in the bodies follow `start` and `events_per_second`, not the wall clock: the first request is due at `start`.
    """

    seed: int
    start: datetime
    users: Annotated[int, Meta(ge=1)] = 1_000
    events_per_second: Annotated[float, Meta(gt=0)] = 100.0
    """The mean over a day; the daily curve moves it between a quarter and nearly double."""
    max_events: Annotated[int, Meta(ge=0)] | None = None
    """End after so many events, retries not counted; None is endless."""
    events_per_request: Annotated[int, Meta(ge=1, le=MAX_EVENTS_PER_REQUEST)] | None = None
    """A fixed size for benchmarks; None is the mix of apps: mostly 50, up to 500 from phones that were offline."""
    compress: bool = True
    daily_curve: bool = True
    malformed_ratio: Ratio = 0.01
    without_id_ratio: Ratio = 0.0
    """Events that carry no event_id (their ids cannot be compared, so none by default)."""
    retry_ratio: Ratio = 0.02
    """Requests sent once more, byte for byte, seconds to minutes later."""
    offline_ratio: Ratio = 0.03
    """Requests of phones that come back after hours or days."""
    skewed_ratio: Ratio = 0.06
    """Devices whose clock is wrong by minutes to two days."""
    unconsented_ratio: Ratio = 0.12
    """Persons without consent to analytics: refused, or never asked."""


class ExpectedEvent(NamedTuple):
    """What the pipeline has to make of one event."""

    source_id: str
    event_id: str | None
    expected: Literal["valid", "failed"]
    consented: bool
    defect: str | None


class PlannedRequest(NamedTuple):
    """One HTTP request as the client sends it; a retry has the same `body` and `events` as the request before."""

    source_id: str
    body: bytes
    due_at: datetime
    is_retry: bool
    events: tuple[ExpectedEvent, ...]
