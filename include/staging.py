"""What stage_events does before sealing: plan, then drain + validate + stage; may be killed and run again anywhere."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include import gaps, plans, quality, topic
from include.collector import collector_off
from include.columns import BLOCK_EVENTS
from include.contract.compression import GZIP_MAGIC, inflate
from include.contract.dialects import reader
from include.contract.envelope import Envelope
from include.distinct import Tally, merge
from include.failures import FAILED_SCHEMA, failed_rows, undecodable
from include.lake import Lake, file_name, part_name
from include.manifest import NULLS_COUNTED, Part
from include.plans import PartitionRange, Plan
from include.rows import Chunk, Decoded
from include.settings import PipelineSettings
from include.topic import Record

log = logging.getLogger(__name__)
MAX_INFLATED_BYTES = 64 * 1024 * 1024
"""Above any limit the edge may be set to; a bomb that came another way stops here."""
_OF_UNREADABLE = {"decode", "edge"}
_UNFORESEEN = (ArithmeticError, LookupError, TypeError, ValueError)
"""Whatever nobody thought of: it must cost one envelope, not everybody's."""


def plan_events(
    lake: Lake, kafka: Mapping[str, Any], settings: PipelineSettings, interval: tuple[datetime, datetime]
) -> list[int]:
    """Freeze the interval's plans and return their numbers; waits until the interval is over plus a short grace."""
    ready = interval[1].timestamp() + settings.plan_grace_seconds
    time.sleep(max(0.0, ready - datetime.now(UTC).timestamp()))
    found = plans.plan_interval(
        lake,
        interval,
        lambda: topic.observe(kafka, settings.kafka_topic, interval[1]),
        settings.plan_max_envelopes,
        settings.plan_max_per_run,
    )
    for plan in found:
        log.info("plan %s: %d envelopes in %d partitions", plan.plan_id, plan.envelopes, len(plan.ranges))
    return plans.numbered(found)


def plan_work(
    lake: Lake, kafka: Mapping[str, Any], settings: PipelineSettings, interval: tuple[datetime, datetime]
) -> list[dict[str, Any]]:
    """Freeze the interval's plans and return the work of the drain tasks; an empty plan is one empty piece of work."""
    return drain_work(lake, settings, plan_events(lake, kafka, settings, interval))


def drain_work(lake: Lake, settings: PipelineSettings, sequences: Sequence[int]) -> list[dict[str, Any]]:
    """Return the plans' partitions grouped into tasks; of many plans each is one, as a task's start has its price."""
    most = max(1, settings.drain_max_tasks // max(1, len(sequences)))
    return [
        {"sequence": sequence, "partitions": group}
        for sequence in sequences
        for group in plans.drain_groups(plans.needed(lake, sequence), most, settings.drain_task_envelopes)
    ]


def drain_partitions(
    lake: Lake,
    kafka: Mapping[str, Any],
    settings: PipelineSettings,
    known_sources: Sequence[str],
    sequence: int,
    partitions: Sequence[int],
) -> int:
    """Drain, validate and stage some partitions of a plan; returns the number of events (rows and failed).

    A range that is staged already is left alone: nothing is read, no file changes. A file that was lost is made again.
    """
    plan = plans.needed(lake, sequence)
    now = functools.cache(lambda: topic.identity(kafka, plan.topic))  # asked once, and only if something is drained

    def derive(part_range: PartitionRange) -> Part:
        return drain_range(lake, kafka, settings, known_sources, plan, part_range, now())

    return stage_ranges(lake, plan, partitions, derive)


def stage_ranges(lake: Lake, plan: Plan, partitions: Sequence[int], derive: Callable[[PartitionRange], Part]) -> int:
    """Stage those ranges of a plan that are not whole in the lake; returns the number of events."""
    events = 0
    for part_range in (part for part in plan.ranges if part.partition in partitions and part.size):
        name = part_name(plan, part_range)
        part = lake.get(name, Part)
        if part is None or not all(map(lake.has, part.files)):
            part = derive(part_range)
            lake.put_once(name, part)
        events += part.rows + part.failed
    return events


def drain_range(
    lake: Lake,
    kafka: Mapping[str, Any],
    settings: PipelineSettings,
    known_sources: Sequence[str],
    plan: Plan,
    part_range: PartitionRange,
    now: tuple[str, str],
) -> Part:
    """Derive the rows of one range from Kafka and write its files."""
    part = Part(part_range.partition, part_range.start, part_range.end)
    stage = Stage(lake, plan, part_range, part, known_sources)
    reader = topic.consumer(kafka)
    try:
        first = topic.first_readable(reader, plan, part_range, now)
        part.missing, part.accepted = first - part.start, gaps.accepted_loss(lake, plan, part_range, first)
        with collector_off():  # millions of short-lived objects and no cycles
            for record in topic.drain(reader, plan.topic, PartitionRange(part.partition, first, part.end)):
                stage.add(record)
                if stage.events_held >= settings.chunk_max_events or stage.bytes_held >= settings.chunk_max_bytes:
                    stage.write()
    finally:
        reader.close()
    return stage.close()


class Stage:
    """Turns the records of one range into its two files; what is held between two writes is a chunk."""

    def __init__(
        self, lake: Lake, plan: Plan, part_range: PartitionRange, part: Part, known_sources: Sequence[str]
    ) -> None:
        self.plan, self.part, self.known_sources = plan, part, known_sources
        self.events = lake.parquet(file_name("events", plan, part_range))
        self.failed = lake.parquet(file_name("failed", plan, part_range))
        self.seen: list[np.ndarray[Any, Any]] = []
        self.dates: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        self._held: list[Record] = []
        self._chunk = Chunk(self.part.partition, self.plan.plan_id)
        self.events_held = self.bytes_held = self._fresh = 0

    def add(self, record: Record) -> None:
        """Open an envelope; one that cannot be opened becomes a failed row, never an exception."""
        self.part.envelopes += 1
        self.part.announced += record.announced
        try:
            envelope = open_envelope(record)
        except (ValueError, msgspec.DecodeError, RecursionError) as error:
            self._set_aside(record, str(error))
            return
        self._held.append(record)
        self._chunk.envelopes.append(envelope)
        self.events_held += len(envelope.events)
        self.bytes_held += len(envelope.body)
        self._fresh += len(envelope.events)
        if self._fresh >= BLOCK_EVENTS:
            self._fresh = 0
            with suppress(*_UNFORESEEN):  # judging meets it again, and finds out whose it is
                self._chunk.take_events()

    def write(self) -> None:
        """Judge what is held and append it to the files."""
        held, chunk = self._held, self._chunk
        self._begin()
        if held:
            self._write(held, chunk)

    def _write(self, held: Sequence[Record], chunk: Chunk) -> None:
        try:
            found = judged(chunk, self.known_sources)
        except _UNFORESEEN as error:
            if len(held) > 1:
                middle = len(held) // 2
                for half in (held[:middle], held[middle:]):
                    self._write(half, self._opened_again(half))
                return
            log.exception("offset %d of partition %d", held[0].offset, self.part.partition)
            self._set_aside(held[0], f"{type(error).__name__}: {error}")
            return
        self.take(*found)

    def _opened_again(self, records: Sequence[Record]) -> Chunk:
        return Chunk(self.part.partition, self.plan.plan_id, list(map(open_envelope, records)))

    def take(self, bad: list[dict[str, Any]], valid: pa.Table, tallies: list[Tally]) -> None:
        """Append what was judged to the files."""
        self.part.tallies = merge(self.part.tallies, tallies)
        self._fail(bad)
        self._keep(valid)

    def _set_aside(self, record: Record, problem: str) -> None:
        self.part.unopened += record.announced - 1
        self._fail([undecodable(record, self.part.partition, self.plan.plan_id, problem)])

    def _fail(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            self.failed.write(pa.Table.from_pylist(rows, schema=FAILED_SCHEMA))

    def close(self) -> Part:
        """Make the files visible and return what they are."""
        self.write()
        part = self.part
        part.rows, part.failed = self.events.rows, self.failed.rows
        if self.seen:
            hashes = np.sort(np.concatenate(self.seen))
            part.duplicates = int(np.count_nonzero(hashes[1:] == hashes[:-1]))
        closed = (
            self.events.close("events", part.partition, tuple(sorted(self.dates))),
            self.failed.close("failed", part.partition),
        )
        part.files = [file for file in closed if file is not None]
        return part

    def _keep(self, valid: pa.Table) -> None:
        if not len(valid):
            return
        import pandas as pd  # noqa: PLC0415 - a second of import that planning and sealing need not pay

        keys = pc.binary_join_element_wise(valid["source_id"].cast(pa.string()), valid["event_id"], "\0")
        self.seen.append(
            pd.util.hash_array(np.asarray(keys.to_numpy(zero_copy_only=False), dtype=object), categorize=False)
        )
        self.dates.update(str(day) for day in pc.unique(valid["occurred_on"]).to_pylist())
        for name in NULLS_COUNTED:
            self.part.nulls[name] = self.part.nulls.get(name, 0) + valid[name].null_count
        self.events.write(valid)


def open_envelope(record: Record) -> Decoded:
    """Open one envelope; raises ValueError or msgspec's DecodeError where it is none."""
    envelope = Envelope.parse(record.headers, record.value)
    body = inflate(envelope.value, MAX_INFLATED_BYTES) if envelope.value.startswith(GZIP_MAGIC) else envelope.value
    dialect = reader(envelope.dialect, envelope.call)
    parsed = dialect.parse(body, envelope)
    return Decoded(
        offset=record.offset,
        source_id=envelope.source_id,
        received_at=envelope.received_at,
        sent_at=parsed.sent_at,
        body=body,
        events=parsed.events,
        extra=parsed.extra,
        problems=parsed.problems,
        rejected=_within(envelope.rejected, len(parsed.events)),
        country=envelope.country or None,
        dialect=dialect,
        headers=record.headers,
    )


def judge(facts: Mapping[str, pa.DictionaryArray], known_sources: Sequence[str]) -> quality.Verdict:
    """Return what suite `events` says of rows by their facts.

    Of an event that cannot be decoded nothing more is said: what is missing is there perhaps, and only cannot be read.
    """
    verdict = quality.suite("events").judge(facts, {"known_sources": list(known_sources)})
    for reasons in verdict.failed.values():
        if len(reasons) > 1 and any(one.column == "decode" for one in reasons):
            reasons[:] = [one for one in reasons if one.column in _OF_UNREADABLE]
    return verdict


def judged(chunk: Chunk, known_sources: Sequence[str]) -> tuple[list[dict[str, Any]], pa.Table, list[Tally]]:
    """Let the suite judge a chunk; returns the failed rows, the table of valid ones, and a tally per expectation."""
    table = chunk.table()
    verdict = judge(chunk.facts(table), known_sources)
    valid = table.filter(mask(len(table), verdict.failed))
    return failed_rows(chunk, table, verdict.failed), valid, verdict.tallies


def _within(rejected: Mapping[int, str], count: int) -> dict[int, str]:
    return {index: reason for index, reason in rejected.items() if index < count}


def mask(rows: int, failed: Mapping[int, object]) -> pa.Array:
    """Return which rows are valid."""
    keep = np.ones(rows, dtype=bool)
    keep[list(failed)] = False
    return pa.array(keep)
