"""What the parts said at one moment; None wherever one of them did not answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from local.board.intervals import IntervalState


@dataclass(frozen=True, slots=True)
class Counts:
    """Events at every hop, since the state was made; None where the part did not answer."""

    acknowledged: int | None = None
    """Since the API's start, by its own metrics."""
    staged: int | None = None
    failed: int | None = None
    loaded: int | None = None
    duplicates: int | None = None
    published: int | None = None
    withheld: int | None = None
    """Loaded and not offered: without consent, suppressed, or offered before."""
    vendor: int | None = None

    def since(self, other: Counts) -> Counts:
        """Return what came on top."""

        def difference(name: str) -> int | None:
            ours, theirs = getattr(self, name), getattr(other, name)
            return None if ours is None or theirs is None else ours - theirs

        return Counts(**{name: difference(name) for name in Counts.__slots__})


@dataclass(frozen=True, slots=True)
class Latency:
    """How long rows needed from the edge to EVENTS, over the loads of the last ten minutes."""

    rows: int
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    newest_received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at all parts."""

    taken_at: datetime
    counts: Counts = field(default_factory=Counts)
    latency: Latency | None = None
    intervals: tuple[IntervalState, ...] = ()
    has_data_docs: bool = False
    problems: tuple[str, ...] = ()
