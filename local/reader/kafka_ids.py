"""Counts the event ids in the topic, from the records' own bytes."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

from confluent_kafka import Consumer, Message, TopicPartition

from local.reader import EventKey

_TIMEOUT_SECONDS = 10.0
_SILENT_SECONDS = 30.0
_AT_ONCE = 500


def ends(servers: str, topic: str) -> dict[int, int]:
    """Return the offset after the newest record of each partition."""
    consumer = _consumer(servers)
    try:
        partitions = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions
        return {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_TIMEOUT_SECONDS)[1]
            for number in partitions
        }
    finally:
        consumer.close()


def read(servers: str, topic: str, begin: Mapping[int, int], end: Mapping[int, int]) -> Counter[EventKey]:
    """Count the ids in offsets [begin, end) of every partition; raises TimeoutError when Kafka falls silent.

    Records that Kafka no longer has are passed over: what they held then counts as missing.
    """
    found: Counter[EventKey] = Counter()
    for message in records(servers, topic, begin, end):
        found.update(ids(message))
    return found


def records(servers: str, topic: str, begin: Mapping[int, int], end: Mapping[int, int]) -> Iterator[Message]:
    """Yield the records that `read` counts."""
    consumer = _consumer(servers)
    try:
        for partition in end:
            if begin.get(partition, 0) < end[partition]:
                yield from _partition(consumer, TopicPartition(topic, partition, begin.get(partition, 0)), end)
    finally:
        consumer.close()


def headers(message: Message) -> dict[str, bytes | None]:
    """Return a record's headers."""
    return cast("dict[str, bytes | None]", dict(message.headers() or ()))


def ids(message: Message) -> list[EventKey]:
    """Return the ids of a record's events, whichever dialect its client spoke."""
    known = headers(message)
    value = message.value() or b""
    if known.get("content_encoding") == b"gzip":
        value = gzip.decompress(value)
    events, name = _events(known.get("dialect"), json.loads(value))
    source = (known.get("source_id") or b"").decode()
    place = f"no id at {message.partition()}/{message.offset()}"
    return [(source, _id(event, name, f"{place}/{index}")) for index, event in enumerate(events)]


def _partition(consumer: Consumer, place: TopicPartition, end: Mapping[int, int]) -> Iterator[Message]:
    oldest, _ = consumer.get_watermark_offsets(place, timeout=_TIMEOUT_SECONDS)
    place.offset = max(place.offset, oldest)
    consumer.assign([place])
    position, heard = place.offset, time.monotonic()
    while position < end[place.partition]:
        for message in consumer.consume(_AT_ONCE, timeout=1.0):
            offset = message.offset()
            if message.error() or offset is None:
                raise TimeoutError(f"Kafka failed at {place.topic}/{place.partition}/{position}: {message.error()}")
            position, heard = offset + 1, time.monotonic()
            if offset < end[place.partition]:
                yield message
        if time.monotonic() - heard > _SILENT_SECONDS:
            raise TimeoutError(f"Kafka gave nothing at {place.topic}/{place.partition}/{position} for a while")


def _events(dialect: bytes | None, body: dict[str, Any]) -> tuple[list[Any], str]:
    """Return a body's events, and what their id is called there."""
    if dialect == b"amplitude":
        return body["events" if "events" in body else "identification"], "insert_id"
    if dialect in {b"segment", b"rudder"}:
        return body.get("batch", [body]), "messageId"
    return body["events"], "event_id"


def _id(event: Any, name: str, otherwise: str) -> str:  # noqa: ANN401 - any JSON
    found = event.get(name) if isinstance(event, dict) else None
    return found if isinstance(found, str) else otherwise


def _consumer(servers: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "id-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
            "auto.offset.reset": "error",
        }
    )
