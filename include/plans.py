"""Plans: the frozen offset ranges of an interval, a chain without holes (design rule 4), for stage_events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from include.contract.event import CONTRACT_VERSION
from include.errors import TransientError
from include.gaps import Acceptances, Accepted, beginnings

log = logging.getLogger(__name__)


class PartitionRange(msgspec.Struct, frozen=True):
    """Offsets [start, end) of one Kafka partition."""

    partition: int
    start: int
    end: int

    @property
    def size(self) -> int:
        """Number of offsets."""
        return self.end - self.start


class Plan(msgspec.Struct, frozen=True):
    """What one step of the chain drains; `final` says that it reaches the interval's cut."""

    sequence: int
    topic: str
    topic_id: str
    cluster_id: str
    interval_start: datetime
    interval_end: datetime
    final: bool
    ranges: tuple[PartitionRange, ...]
    contract_version: int = CONTRACT_VERSION
    restates: int = 0
    """Contract version under which the batch was derived first, where this is the plan derived again."""
    skipped: tuple[Accepted, ...] = ()
    """Gaps between the plan before and this one that were accepted."""

    def restated(self, version: int) -> Plan:
        """Return the same offsets to be derived again under a later contract version."""
        return msgspec.structs.replace(self, contract_version=version, restates=self.contract_version)

    @property
    def plan_id(self) -> str:
        """Name of the plan and of the batch of rows that comes of it."""
        return f"{self.topic}-{self.sequence:010d}"

    @property
    def envelopes(self) -> int:
        """Number of offsets over all partitions."""
        return sum(part.size for part in self.ranges)


class TopicState(msgspec.Struct, frozen=True):
    """A topic as seen by the planner: identity, oldest offset and cut per partition."""

    topic: str
    topic_id: str
    cluster_id: str
    low: Mapping[int, int]
    cut: Mapping[int, int]


class PlanStore(Acceptances, Protocol):
    """Where plans are kept: create-only, numbered from 1 without holes."""

    def read(self, sequence: int) -> Plan | None:
        """Return plan `sequence`, None where there is none."""

    def create(self, plan: Plan) -> bool:
        """Write the plan; False when that sequence number is taken."""


def latest(store: PlanStore) -> Plan | None:
    """Return the end of the chain in O(log n) reads."""
    high = 1
    while store.read(high) is not None:
        high *= 2
    return _last_where(store, high, lambda _: True)


def needed(store: PlanStore, sequence: int) -> Plan:
    """Return a plan; raises TransientError when it is not there."""
    plan = store.read(sequence)
    if plan is None:
        raise TransientError(f"plan {sequence} is not in the lake: run the interval's plan task again")
    return plan


def plans_of(store: PlanStore, start: datetime, end: datetime) -> list[Plan]:
    """Return the plans made for intervals that begin in [start, end), oldest first."""
    newest = latest(store)
    if newest is None:
        return []
    before = _last_where(store, newest.sequence + 1, lambda plan: plan.interval_start < start)
    return list(_while_before(store, before.sequence + 1 if before else 1, end))


def plan_interval(
    store: PlanStore,
    interval: tuple[datetime, datetime],
    observe: Callable[[], TopicState],
    max_envelopes: int,
    max_plans: int,
) -> list[Plan]:
    """Freeze the plans of an interval, or return the ones it has.

    Args:
        store: the chain.
        interval: [t0, t1) of arrival time.
        observe: asks Kafka; called only when something has to be planned.
        max_envelopes: most offsets in one plan.
        max_plans: most plans made by this call; what is left is the next run's.

    Returns:
        The interval's plans; empty when the chain has already passed it.

    Raises:
        DataGapError: Kafka lost offsets that no plan covers, or the topic was recreated, and nobody accepted it.
        TransientError: another planner wrote the next plan at the same moment.

    """
    start, end = interval
    existing = plans_of(store, start, end)
    newest = latest(store)
    if newest is not None and newest.interval_start > start:
        log.info("the chain is at %s, past interval %s: its offsets are in later plans", newest.plan_id, start)
        return existing
    if existing and existing[-1].final:
        return existing
    for plan in _next_plans(store, newest, observe(), interval, max_envelopes)[:max_plans]:
        if not store.create(plan):
            raise TransientError(f"another planner wrote {plan.plan_id} just now: run again to go on after it")
        existing.append(plan)
    return existing


def _next_plans(
    store: PlanStore, newest: Plan | None, state: TopicState, interval: tuple[datetime, datetime], max_envelopes: int
) -> list[Plan]:
    begin, skipped = beginnings(newest, state, store)
    steps = _bounded(begin, state.cut, max_envelopes)
    return [
        Plan(
            sequence=(newest.sequence if newest else 0) + number,
            topic=state.topic,
            topic_id=state.topic_id,
            cluster_id=state.cluster_id,
            interval_start=interval[0],
            interval_end=interval[1],
            final=number == len(steps),
            ranges=ranges,
            skipped=skipped if number == 1 else (),
        )
        for number, ranges in enumerate(steps, start=1)
    ]


def drain_groups(plan: Plan, max_tasks: int, task_envelopes: int) -> list[list[int]]:
    """Share a plan's non-empty partitions between at most `max_tasks` tasks of at least `task_envelopes` each.

    An empty plan is one empty group, so that every plan has a task that leads to its seal.
    """
    busy = sorted((part for part in plan.ranges if part.size), key=lambda part: (-part.size, part.partition))
    count = max(1, min(max_tasks, len(busy), plan.envelopes // task_envelopes))
    groups: list[list[PartitionRange]] = [[] for _ in range(count)]
    for part in busy:
        min(groups, key=lambda group: sum(other.size for other in group)).append(part)
    return [sorted(part.partition for part in group) for group in groups]


def _last_where(store: PlanStore, above: int, holds: Callable[[Plan], bool]) -> Plan | None:
    """Return the last plan below `above` for which `holds`, given that it holds for a prefix of the chain."""
    low, found = 0, None
    while above - low > 1:
        middle = (low + above) // 2
        plan = store.read(middle)
        if plan is not None and holds(plan):
            low, found = middle, plan
        else:
            above = middle
    return found


def _while_before(store: PlanStore, sequence: int, end: datetime) -> Iterator[Plan]:
    while (plan := store.read(sequence)) is not None and plan.interval_start < end:
        yield plan
        sequence += 1


def _bounded(begin: Mapping[int, int], cut: Mapping[int, int], limit: int) -> list[tuple[PartitionRange, ...]]:
    """Split [begin, cut) of all partitions into steps of about `limit` offsets; at least one step."""
    ends = {partition: max(cut.get(partition, start), start) for partition, start in begin.items()}
    total = sum(ends[partition] - start for partition, start in begin.items())
    steps = max(1, -(-total // limit))

    def at(partition: int, step: int) -> int:
        return begin[partition] + (ends[partition] - begin[partition]) * step // steps

    return [
        tuple(PartitionRange(partition, at(partition, step), at(partition, step + 1)) for partition in sorted(begin))
        for step in range(steps)
    ]


def numbered(plans: Sequence[Plan]) -> list[int]:
    """Return the sequence numbers, which is what tasks hand to each other."""
    return [plan.sequence for plan in plans]
