"""What Kafka knows of an event: the envelope's headers while it has the record, and the search behind the plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
from confluent_kafka import KafkaException

from include import topic
from include.contract.envelope import Envelope
from include.contract.event import derived_event_id
from include.failures import WHOLE_ENVELOPE
from include.gaps import recreated
from include.plans import PartitionRange, Plan, TopicState
from include.staging import open_envelope
from include.topic import Record
from include.tracing.model import Step, Where


class Copy(msgspec.Struct, frozen=True):
    """An event found in the topic."""

    source_id: str
    event_name: str | None
    where: Where
    record: Record


def at(kafka: Mapping[str, Any], where: Where, plan: Plan | None, state: TopicState) -> Record | None:
    """Return the record at a place; None where Kafka no longer has it, or the topic is another one now."""
    if where.topic != state.topic or (plan is not None and recreated(plan, state)):
        return None
    if where.partition not in state.low or where.offset < state.low[where.partition]:
        return None
    wanted = PartitionRange(where.partition, where.offset, where.offset + 1)
    return next(_read(kafka, where.topic, [wanted]), (0, None))[1]


def steps(record: Record | None, where: Where, received_at: datetime | None, *, asked: bool = True) -> list[Step]:
    """Return the hops of the edge and the broker; `asked` is False where Kafka did not answer."""
    place = f"partition {where.partition}, offset {where.offset}, index {where.index}"
    place = place.replace("index -1", "the whole record") if where.index == WHOLE_ENVELOPE else place
    if record is None:
        gone = "Kafka no longer has the record" if asked else "Kafka could not be asked"
        gone += ", so request id and dialect are not known"
        return [Step("received", received_at, gone), Step("in Kafka", None, place)]
    try:
        envelope = Envelope.parse(record.headers, record.value)
        about = f"request {envelope.request_id}, source {envelope.source_id}, dialect {envelope.dialect}"
        about += f" {envelope.call}" if envelope.call else ""
        received_at = envelope.received_at
        if where.index in envelope.rejected:
            about += f"; the edge found it bad: {envelope.rejected[where.index]}"
    except ValueError as error:
        about = f"not an envelope: {error}"
    appended = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    return [Step("received", received_at, about), Step("in Kafka", appended, place)]


def search(
    kafka: Mapping[str, Any], name: str, ranges: Sequence[PartitionRange], event_id: str, source_id: str | None
) -> Iterator[Copy]:
    """Yield each copy of an event in ranges of the topic."""
    for partition, record in _read(kafka, name, ranges):
        for source, index, event_name in _events(record, event_id):
            if source_id in {None, source}:
                yield Copy(source, event_name, Where(name, partition, record.offset, index), record)


def _read(kafka: Mapping[str, Any], name: str, ranges: Sequence[PartitionRange]) -> Iterator[tuple[int, Record]]:
    reading = topic.consumer(kafka)
    try:
        for part in ranges:
            for record in topic.drain(reading, name, part):
                yield part.partition, record
    except KafkaException as error:
        raise topic.kafka_error(error, f"reading {name}") from error
    finally:
        reading.close()


def _events(record: Record, event_id: str) -> Iterator[tuple[str, int, str | None]]:
    """Yield source, index and name of the events of a record that have the id, as the drain would give it to them."""
    try:
        opened = open_envelope(record)
        raws: list[bytes] = []
        for index, event in enumerate(opened.events):
            found = event.event_id
            if not found:
                raws = raws or opened.dialect.split(opened.body)
                found = derived_event_id(opened.source_id, raws[index])
            if found == event_id:
                yield opened.source_id, index, event.event_name
    except (ValueError, msgspec.DecodeError, RecursionError):
        if sha256(record.value).hexdigest() == event_id:
            known = {key: (raw or b"").decode(errors="replace") for key, raw in record.headers}
            yield known.get("source_id", ""), WHOLE_ENVELOPE, None
