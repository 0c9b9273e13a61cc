"""One trace: asks warehouse, lake and Kafka one after the other, and keeps the sentences about what was searched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from include import plans, topic
from include.errors import PipelineError
from include.gaps import recreated
from include.lake import Lake
from include.plans import PartitionRange, Plan, TopicState
from include.topic import Record
from include.tracing import files, records, rows
from include.tracing.model import Limits, Place, Step, Story, Trace, Where, timed
from include.tracing.records import Copy
from include.warehouse import Warehouse, missing_sequences

T = TypeVar("T")
_TABLES = {"events": "lake-to-events", "failed": "lake-to-failed-events"}
_NOT_LOADED = Step("not loaded", None, "load_events takes it with its next run, see docs/runbooks/not-loaded.md")
_NOT_STAGED = Step(
    "not staged", None, "stage_events takes it with its next run, see docs/runbooks/stage-events-not-running.md"
)


class Search:
    """The parts that are asked for one id; a part that does not answer is named, and the others go on."""

    def __init__(
        self,
        event_id: str,
        source_id: str | None,
        lake: Lake,
        warehouse: Warehouse | None,
        kafka: Mapping[str, Any],
        limits: Limits,
    ) -> None:
        """Look at the topic and the end of the chain once, for all rows."""
        self.event_id, self.source_id = event_id, source_id
        self.lake, self.warehouse, self.kafka, self.limits = lake, warehouse, kafka, limits
        self.searched: list[str] = []
        ahead = datetime.now(UTC) + timedelta(days=1)
        self.state = self._ask(lambda: topic.observe(kafka, lake.topic, ahead), None)
        self.newest = self._ask(lambda: plans.latest(lake), None)

    def run(self) -> Trace:
        """Return the rows of the warehouse; only where there are none look at what it may not have yet."""
        stories = self._all(self._in_warehouse())
        if self.warehouse is not None and not stories:
            self.searched.append("EVENTS and FAILED_EVENTS do not have it.")
        if not stories:
            unloaded = self._unloaded()
            stories = [*self._all(self._in_lake(unloaded)), *self._all(self._in_topic(unloaded))]
        return Trace(self.event_id, self.source_id, tuple(stories), tuple(self.searched))

    def _ask(self, question: Callable[[], T], otherwise: T) -> T:
        try:
            return question()
        except PipelineError as error:
            self.searched.append(f"Not everything could be asked: {error}")
            return otherwise

    def _all(self, search: Iterator[Story]) -> list[Story]:
        """Return what a search finds, up to where a part of it does not answer."""
        found: list[Story] = []
        self._ask(lambda: found.extend(search), None)
        return found

    def _in_warehouse(self) -> Iterator[Story]:
        if self.warehouse is None:
            return
        on = self.limits.occurred_on
        if on is not None:
            self.searched.append(f"Of EVENTS only date {on} was searched (--occurred), FAILED_EVENTS as a whole.")
        for row in rows.find(self.warehouse, self.event_id, self.source_id, on):
            kind = "events" if row.place == "EVENTS" else "failed"
            steps = [*row.before, *self._kafka_steps(row.where, row.received_at), *self._lake_steps(row.where, kind)]
            yield _story(row.place, row.source_id, row.event_id, row.event_name, row.where, [*steps, *row.after])

    def _kafka_steps(self, where: Where, received_at: datetime | None) -> list[Step]:
        record = self._ask(lambda: self._record(where), None)
        return records.steps(record, where, received_at, asked=self.state is not None)

    def _lake_steps(self, where: Where, kind: str) -> list[Step]:
        return self._ask(lambda: list(files.steps(self.lake, where, kind)), [])

    def _record(self, where: Where) -> Record | None:
        plan = self.lake.read(where.sequence) if where.sequence and where.topic == self.lake.topic else None
        return None if self.state is None else records.at(self.kafka, where, plan, self.state)

    def _unloaded(self) -> list[int]:
        """Return the numbers of plans that are not in the ledger; the newest ones where it does not answer."""
        newest, last = self.newest.sequence if self.newest else 0, self._newest()
        if self.warehouse is None:
            return last
        found = self.warehouse
        return self._ask(lambda: missing_sequences(found, self.lake.topic, newest), last)

    def _newest(self) -> list[int]:
        newest = self.newest.sequence if self.newest else 0
        return list(range(max(1, newest - self.limits.plans + 1), newest + 1))

    def _in_lake(self, unloaded: Sequence[int]) -> Iterator[Story]:
        """Search what is not loaded, and the newest plans: of what is loaded a row may have been deleted."""
        looked = sorted({*unloaded[-self.limits.plans :], *self._newest()})
        most = f"at most {self.limits.plans} of the newest and of those not loaded, or --plans"
        self.searched.append(f"The sealed files of {len(looked)} plans were searched ({most}).")
        for kind, source, where in files.search(self.lake, looked, self.event_id, self.source_id):
            gone = f"its plan is in the ledger, its row is not there: see docs/runbooks/{_TABLES[kind]}.md"
            last = _NOT_LOADED if where.sequence in unloaded else Step("not in the warehouse", None, gone)
            steps = [*self._kafka_steps(where, None), *self._lake_steps(where, kind), last]
            yield _story("lake", source, self.event_id, None, where, steps)

    def _in_topic(self, unloaded: Sequence[int]) -> Iterator[Story]:
        if self.state is None:
            return
        sealed = self.lake.sealed_sequences()
        unsealed = [plans.needed(self.lake, sequence) for sequence in unloaded if sequence not in sealed]
        work = [(plan.sequence, plan.ranges) for plan in unsealed if not recreated(plan, self.state)]
        yield from self._in_ranges([*work, (None, _behind(self.newest, self.state))], self.state)

    def _in_ranges(
        self, work: Sequence[tuple[int | None, Sequence[PartitionRange]]], state: TopicState
    ) -> Iterator[Story]:
        left = self.limits.records
        wanted = sum(part.size for _, ranges in work for part in ranges)
        for sequence, ranges in work:
            kept, left = _bounded(ranges, state, left)
            for copy in records.search(self.kafka, self.lake.topic, kept, self.event_id, self.source_id):
                yield self._waiting(copy, sequence)
        read = self.limits.records - left
        counts = f"{read:,} records" if read == wanted else f"{read:,} of {wanted:,} records"
        short = "" if read == wanted else " The rest expired, or needs more --records."
        self.searched.append(f"{counts} of topic {self.lake.topic} that no sealed plan has were searched.{short}")

    def _waiting(self, copy: Copy, sequence: int | None) -> Story:
        where = msgspec.structs.replace(copy.where, sequence=sequence)
        planned = self._lake_steps(where, "events") if sequence else []
        steps = [*records.steps(copy.record, where, None), *planned, _NOT_STAGED]
        return _story("topic", copy.source_id, self.event_id, copy.event_name, where, steps)


def _story(place: Place, source_id: str, event_id: str, name: str | None, where: Where, steps: Sequence[Step]) -> Story:
    return Story(place, source_id, event_id, name, where, timed(steps))


def _behind(newest: Plan | None, state: TopicState) -> tuple[PartitionRange, ...]:
    """Return what no plan has: from the end of the newest, in a recreated topic from its beginning."""
    ends = {} if newest is None or recreated(newest, state) else {part.partition: part.end for part in newest.ranges}
    high = sorted(state.cut.items())
    return tuple(PartitionRange(partition, min(ends.get(partition, 0), end), end) for partition, end in high)


def _bounded(wanted: Sequence[PartitionRange], state: TopicState, left: int) -> tuple[list[PartitionRange], int]:
    """Return of the ranges what Kafka still has, up to `left` records in all, and what is left of that number."""
    found = []
    for part in wanted:
        start = min(max(part.start, state.low.get(part.partition, part.end)), part.end)
        end = min(part.end, start + left)
        left -= end - start
        found.append(PartitionRange(part.partition, start, end))
    return found, left
