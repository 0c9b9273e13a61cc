"""The Kafka side of staging: offsets for an interval, and the records of a range."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from include.contract.kafka_errors import translate
from include.errors import DataGapError, PipelineError, SetupError, TransientError
from include.plans import PartitionRange, Plan, TopicState

CALL_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 30.0
RETRY_TIMEOUT_S = 20.0
POLL_MESSAGES = 500
GROUP = "stage_events"
"""Consumer group under which loaded offsets are committed, so that ordinary lag tools show the truth."""

_READER: Mapping[str, Any] = {
    "group.id": GROUP,
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    # The default hides records behind an open transaction (reference: kafka.md).
    "isolation.level": "read_uncommitted",
    "queued.max.messages.kbytes": 32_768,
    "fetch.message.max.bytes": 8_388_608,
}


class Record(NamedTuple):
    """One Kafka record, as the drain needs it."""

    offset: int
    timestamp_ms: int
    headers: list[tuple[str, bytes | None]]
    value: bytes

    @property
    def announced(self) -> int:
        """Number of events the edge stamped; 1 where there is none, so that any record closes a chunk in time."""
        stamped = next((value for name, value in self.headers if name == "event_count" and value is not None), b"")
        return max(1, int(stamped)) if stamped.isdigit() and len(stamped) < 10 else 1


def kafka_error(error: KafkaException | KafkaError, doing: str) -> PipelineError:
    """Map a Kafka error to ours: an expired offset is a gap, set-up wants a human, all else is retried."""
    inner = error.args[0] if isinstance(error, KafkaException) else error
    if inner.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - librdkafka's local errors are spelled so
        return DataGapError(
            f"Kafka no longer has the offsets needed for {doing}: {inner.str()}; see docs/runbooks/gap.md"
        )
    return translate(error, doing)


def consumer(config: Mapping[str, Any]) -> Consumer:
    """Return a consumer with the reader settings that exactness needs; `config` is the connection's properties."""
    return Consumer({**config, **_READER})


def observe(config: Mapping[str, Any], topic: str, until: datetime) -> TopicState:
    """Return the topic's identity, its oldest offsets and, per partition, the first offset not before `until`.

    Raises:
        SetupError: the topic does not exist, or access is refused.
        TransientError: Kafka is away.

    """
    deadline = time.monotonic() + RETRY_TIMEOUT_S
    while True:
        try:
            return _observe(config, topic, until)
        except (KafkaException, TransientError) as error:
            failure = error if isinstance(error, TransientError) else kafka_error(error, f"reading {topic}'s offsets")
            # A restarting broker answers with errors that are marked final but are not (reference: kafka.md).
            if not isinstance(failure, TransientError) or time.monotonic() > deadline:
                raise failure from error
            time.sleep(0.5)


def identity(config: Mapping[str, Any], topic: str) -> tuple[str, str]:
    """Return the ids of the topic and its cluster, which another topic of the same name does not have."""
    admin = AdminClient(dict(config))
    try:
        cluster = admin.describe_cluster(request_timeout=CALL_TIMEOUT_S).result()
        return _topic_id(admin, topic), str(cluster.cluster_id)
    except KafkaException as error:
        raise kafka_error(error, f"reading the id of topic {topic}") from error


def first_readable(reader: Consumer, plan: Plan, part: PartitionRange, now: tuple[str, str]) -> int:
    """Return the first offset of a range that Kafka still has; its end where the topic is another one `now`."""
    if now != (plan.topic_id, plan.cluster_id):
        return part.end
    try:
        low, _ = reader.get_watermark_offsets(TopicPartition(plan.topic, part.partition), timeout=CALL_TIMEOUT_S)
    except KafkaException as error:
        raise kafka_error(error, f"reading {plan.topic}-{part.partition}'s bounds") from error
    return min(max(low, part.start), part.end)


def drain(reader: Consumer, topic: str, part: PartitionRange) -> Iterator[Record]:
    """Yield the records of a range in order.

    Raises:
        DataGapError: Kafka has expired offsets of the range.
        TransientError: Kafka is away or stalls.

    """
    if not part.size:
        return
    _require_range(reader, topic, part)
    reader.assign([TopicPartition(topic, part.partition, part.start)])
    yield from _records(reader, topic, part)


def commit(config: Mapping[str, Any], topic: str, ends: Mapping[int, int]) -> None:
    """Commit loaded offsets forward for lag tools; nothing in the pipeline reads them back."""
    reader = consumer(config)
    try:
        wanted = [TopicPartition(topic, partition, end) for partition, end in ends.items()]
        committed = {part.partition: part.offset for part in reader.committed(wanted, timeout=CALL_TIMEOUT_S)}
        forward = [part for part in wanted if part.offset > max(committed.get(part.partition, 0), 0)]
        if forward:
            reader.commit(offsets=forward, asynchronous=False)
    except KafkaException as error:
        raise kafka_error(error, f"committing group {GROUP}") from error
    finally:
        reader.close()


def _observe(config: Mapping[str, Any], topic: str, until: datetime) -> TopicState:
    admin = AdminClient(dict(config))
    described = admin.describe_cluster(request_timeout=CALL_TIMEOUT_S).result()
    reader = consumer(config)
    try:
        metadata = reader.list_topics(topic, timeout=CALL_TIMEOUT_S).topics[topic]
        if metadata.error is not None and metadata.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            msg = f"Kafka has no topic {topic}: wrong cluster, deleted, or new? see docs/runbooks/kafka-refused.md"
            raise SetupError(msg)
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        bounds = {
            number: reader.get_watermark_offsets(TopicPartition(topic, number), timeout=CALL_TIMEOUT_S)
            for number in metadata.partitions
        }
        return TopicState(
            topic=topic,
            topic_id=_topic_id(admin, topic),
            cluster_id=described.cluster_id,
            low={number: low for number, (low, _) in bounds.items()},
            cut=_cut(reader, topic, until, bounds),
        )
    finally:
        reader.close()


def _topic_id(admin: AdminClient, topic: str) -> str:
    from confluent_kafka import TopicCollection  # noqa: PLC0415 - keeps the import list to what the hot path uses

    futures = admin.describe_topics(TopicCollection([topic]), request_timeout=CALL_TIMEOUT_S)
    return str(futures[topic].result().topic_id)


def _cut(reader: Consumer, topic: str, until: datetime, bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
    """Return the end of the interval per partition: the first offset at or after `until`, else the high watermark."""
    asked = [TopicPartition(topic, number, int(until.timestamp() * 1000)) for number in bounds]
    cut = {}
    for part in reader.offsets_for_times(asked, timeout=CALL_TIMEOUT_S):
        if part.error is not None:
            raise KafkaException(part.error)
        cut[part.partition] = part.offset if part.offset >= 0 else bounds[part.partition][1]
    return cut


def _require_range(reader: Consumer, topic: str, part: PartitionRange) -> None:
    try:
        low, high = reader.get_watermark_offsets(TopicPartition(topic, part.partition), timeout=CALL_TIMEOUT_S)
    except KafkaException as error:
        raise kafka_error(error, f"reading {topic}-{part.partition}'s bounds") from error
    if low > part.start:
        lost = min(low, part.end) - part.start
        raise DataGapError(
            f"topic {topic} partition {part.partition}: {lost} records [{part.start}, {part.start + lost}) expired "
            "before they were staged; see docs/runbooks/gap.md"
        )
    if high < part.end:
        msg = f"topic {topic} partition {part.partition} ends at {high}, the plan at {part.end}: the broker is behind"
        raise TransientError(msg)


def _records(reader: Consumer, topic: str, part: PartitionRange) -> Iterator[Record]:
    """Yield the records of the range; the position, not the last record, ends it (offsets may have holes)."""
    place = TopicPartition(topic, part.partition)
    moved = time.monotonic()
    while True:
        for message in reader.consume(POLL_MESSAGES, timeout=0.2):
            moved = time.monotonic()
            record = _record(message, place)
            if record.offset >= part.end:
                return
            yield record
        if reader.position([place])[0].offset >= part.end:
            return
        if time.monotonic() - moved > STALL_TIMEOUT_S:
            raise TransientError(
                f"Kafka gave nothing of {topic}-{part.partition} [{part.start}, {part.end}) for {STALL_TIMEOUT_S:.0f} s"
            )


def _record(message: Message, place: TopicPartition) -> Record:
    error, offset = message.error(), message.offset()
    if error is not None or offset is None:
        raise kafka_error(error or KafkaError(KafkaError._BAD_MSG), f"draining {place.topic}-{place.partition}")  # noqa: SLF001
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return Record(offset, message.timestamp()[1], headers, message.value() or b"")
