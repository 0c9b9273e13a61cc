"""Gaps: offsets that Kafka lost before they were staged; only an acceptance with a reason lets the chain go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from include.errors import DataGapError

if TYPE_CHECKING:
    from include.plans import PartitionRange, Plan, TopicState

RUNBOOK = "nothing but `make accept-gap` goes on over it, see docs/runbooks/gap.md"
_NAMED_AT_ONCE = 8


class Gap(msgspec.Struct, frozen=True):
    """Offsets [start, end) of one partition; `end` is None where nobody knows how far a deleted topic went.

    `sequence` is the plan behind which they are missing (unplanned, recreated) or the plan that needs them (unstaged).
    """

    kind: Literal["unplanned", "unstaged", "recreated"]
    topic_id: str
    cluster_id: str
    partition: int
    start: int
    end: int | None
    sequence: int
    new_topic_id: str = ""
    new_cluster_id: str = ""

    @property
    def records(self) -> int | None:
        """Number of offsets, None where nobody knows."""
        return None if self.end is None else self.end - self.start

    @property
    def span(self) -> str:
        """The range as people read it."""
        return f"[{self.start}, {'?' if self.end is None else self.end})"


class Acceptance(msgspec.Struct, frozen=True):
    """Who accepted which gaps, when and why: a create-only document in the lake, numbered from 1 for each topic."""

    number: int
    topic: str
    accepted_at: datetime
    accepted_by: str
    reason: str
    gaps: tuple[Gap, ...]

    @property
    def acceptance_id(self) -> str:
        """Name by which plans, manifests and CONTROL.ACCEPTED_GAPS refer to it."""
        return f"{self.topic}-gap-{self.number:06d}"


class Accepted(msgspec.Struct, frozen=True):
    """A gap, or a piece of one, and the acceptance that has it."""

    acceptance: str
    gap: Gap


class Acceptances(Protocol):
    """Where acceptances are kept."""

    def acceptances(self) -> Sequence[Acceptance]:
        """Return all of the topic, oldest first."""


def cover(gap: Gap, acceptances: Iterable[Acceptance]) -> tuple[list[Accepted], Gap | None]:
    """Return the accepted pieces from the gap's start on without a hole, and what is left of it."""
    known = [Accepted(one.acceptance_id, piece) for one in acceptances for piece in one.gaps]
    pieces: list[Accepted] = []
    left: Gap | None = gap
    while left is not None:
        piece = next((one for one in known if _begins(left, one.gap)), None)
        if piece is None:
            break
        pieces.append(piece)
        end = piece.gap.end
        left = None if end is None or end == left.end else msgspec.structs.replace(left, start=end)
    return pieces, left


def between(newest: Plan | None, state: TopicState) -> list[Gap]:
    """Return what Kafka lost between the newest plan and the oldest offsets that it has now."""
    if newest is None:
        return []
    now = {"new_topic_id": state.topic_id, "new_cluster_id": state.cluster_id}
    ends = {part.partition: part.end for part in newest.ranges}
    lost: list[Gap] = []
    if recreated(newest, state):
        lost = [
            Gap("recreated", newest.topic_id, newest.cluster_id, partition, end, None, newest.sequence, **now)
            for partition, end in sorted(ends.items())
        ]
        ends = dict.fromkeys(state.low, 0)
    return lost + [
        Gap("unplanned", state.topic_id, state.cluster_id, partition, ends[partition], low, newest.sequence)
        for partition, low in sorted(state.low.items())
        if ends.get(partition, low) < low
    ]


def recreated(plan: Plan, state: TopicState) -> bool:
    """Tell whether the topic is another than the one that was planned."""
    return (plan.topic_id, plan.cluster_id) != (state.topic_id, state.cluster_id)


def beginnings(
    newest: Plan | None, state: TopicState, store: Acceptances
) -> tuple[dict[int, int], tuple[Accepted, ...]]:
    """Return where each partition goes on behind the newest plan, and what is skipped by which acceptance.

    A partition that no plan knows begins at its oldest offset.

    Raises:
        DataGapError: Kafka lost offsets that no plan and no acceptance covers.

    """
    skipped = _all_accepted(state.topic, between(newest, state), store)
    if newest is None or recreated(newest, state):
        return dict(state.low), skipped
    ends = {part.partition: max(part.end, state.low.get(part.partition, 0)) for part in newest.ranges}
    return {**state.low, **ends}, skipped


def unstaged(plan: Plan, part: PartitionRange, first: int) -> Gap | None:
    """Return what is missing of a plan's range of which Kafka has nothing before offset `first`."""
    end = min(first, part.end)
    if end <= part.start:
        return None
    return Gap("unstaged", plan.topic_id, plan.cluster_id, part.partition, part.start, end, plan.sequence)


def accepted_loss(store: Acceptances, plan: Plan, part: PartitionRange, first: int) -> tuple[Accepted, ...]:
    """Return what accepts that a range is read from `first` on; raises DataGapError where nothing does."""
    gap = unstaged(plan, part, first)
    return _all_accepted(plan.topic, [gap] if gap else [], store)


def unjoined(left: Plan, right: Plan, store: Acceptances) -> list[str]:
    """Return where two neighbours of the chain do not join but for exactly what was accepted and `right` skips."""
    from include.plans import TopicState  # noqa: PLC0415 - plans needs this module

    starts = {part.partition: part.start for part in right.ranges}
    ends = {part.partition: part.end for part in left.ranges}
    gaps = between(left, TopicState(right.topic, right.topic_id, right.cluster_id, starts, {}))
    acceptances = store.acceptances() if right.skipped else []
    bad = {gap.partition for gap in gaps if not _skips(right, gap, acceptances)}
    if (left.topic_id, left.cluster_id) == (right.topic_id, right.cluster_id):
        bad |= {partition for partition, end in ends.items() if starts.get(partition, -1) < end}
    return [
        f"partition {partition}: {left.plan_id} ends at {ends.get(partition)}, "
        f"the next begins at {starts.get(partition)}"
        for partition in sorted(bad)
    ]


def describe(topic: str, lost: Sequence[Gap]) -> str:
    """Return the gaps as a sentence with topic, partition, range and count."""
    texts = [_sentence(topic, gap) for gap in lost if gap.kind != "recreated"]
    if anew := [gap for gap in lost if gap.kind == "recreated"]:
        one = anew[0]
        texts.insert(
            0,
            f"topic {topic} was recreated: plan {topic}-{one.sequence:010d} drained topic id {one.topic_id} in cluster "
            f"{one.cluster_id}, now {one.new_topic_id} in {one.new_cluster_id}; what the old one had behind "
            + ", ".join(f"{gap.partition}/{gap.start}" for gap in anew[:_NAMED_AT_ONCE])
            + (" …" if len(anew) > _NAMED_AT_ONCE else "")
            + " (partition/offset) is lost, nobody knows how many",
        )
    more = f"; and {len(texts) - _NAMED_AT_ONCE} more" if len(texts) > _NAMED_AT_ONCE else ""
    return "; ".join(texts[:_NAMED_AT_ONCE]) + more


def _sentence(topic: str, gap: Gap) -> str:
    what = "planned" if gap.kind == "unplanned" else f"staged (plan {topic}-{gap.sequence:010d})"
    return f"topic {topic} partition {gap.partition}: {gap.records} records {gap.span} expired before they were {what}"


def _all_accepted(topic: str, lost: Sequence[Gap], store: Acceptances) -> tuple[Accepted, ...]:
    """Return the acceptances of all gaps; raises DataGapError with those that have none."""
    if not lost:
        return ()
    acceptances = store.acceptances()
    covered = [cover(gap, acceptances) for gap in lost]
    standing = [left for _, left in covered if left is not None]
    if standing:
        grown = sorted({piece.acceptance for pieces, left in covered if left for piece in pieces})
        since = f"; it grew since {', '.join(grown)} accepted a part of it" if grown else ""
        raise DataGapError(f"{describe(topic, standing)}{since}; {RUNBOOK}")
    return tuple(piece for pieces, _ in covered for piece in pieces)


def _skips(right: Plan, gap: Gap, acceptances: Sequence[Acceptance]) -> bool:
    pieces, left = cover(gap, acceptances)
    return left is None and all(piece in right.skipped for piece in pieces)


def _begins(gap: Gap, piece: Gap) -> bool:
    """Tell whether an accepted piece is the beginning of a gap, or all of it."""
    if gap == piece:
        return True
    if gap.end is None or piece.end is None or not gap.start < piece.end <= gap.end:
        return False
    return msgspec.structs.replace(piece, end=gap.end) == gap


def totals(skipped: Iterable[Accepted]) -> Mapping[str, int]:
    """Return the number of known lost offsets by acceptance."""
    counts: dict[str, int] = {}
    for piece in skipped:
        counts[piece.acceptance] = counts.get(piece.acceptance, 0) + (piece.gap.records or 0)
    return counts
