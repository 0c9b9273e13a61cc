"""Reads a benchmark's topic back and compares it with what was acknowledged, body by body."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from typing import Any, cast

import msgspec
from confluent_kafka import Consumer, Message, TopicPartition

from bench.ingest_load import Corpus
from include.contract.envelope import Envelope

_Record = tuple[list[tuple[str, bytes | None]], bytes]


def verify(bootstrap: str, topic: str, corpus: Corpus, stored: list[int], *, enveloped: bool) -> None:
    """Raise RuntimeError unless the topic has each body exactly as often as it was acknowledged."""
    wanted: Counter[int] = Counter()
    for body, count in zip(corpus.bodies, stored, strict=True):
        wanted[zlib.crc32(body)] += count
    sizes = {zlib.crc32(body): size for body, size in zip(corpus.bodies, corpus.events, strict=True)}
    found: Counter[int] = Counter()
    for headers, value in _read(bootstrap, topic):
        checksum = zlib.crc32(value)
        found[checksum] += 1
        if enveloped and Envelope.parse(headers, value).event_count != sizes.get(checksum):
            raise RuntimeError(f"{topic} has an envelope whose event_count is not that of its body")
    if +wanted != found:
        raise RuntimeError(f"{topic} has {found.total()} bodies, {wanted.total()} were acknowledged, or others")


def verify_events(bootstrap: str, topic: str, corpus: Corpus, stored: list[int]) -> None:
    """Check a topic with one record per event likewise: each event of each acknowledged body, by id and name."""
    wanted: Counter[tuple[str, str]] = Counter()
    for body, count in zip(corpus.bodies, stored, strict=True):
        for event in msgspec.json.decode(gzip.decompress(body))["events"]:
            wanted[_identity(event)] += count
    found = Counter(_identity(msgspec.json.decode(value)) for _, value in _read(bootstrap, topic))
    if +wanted != found:
        raise RuntimeError(f"{topic} has {found.total()} events, {wanted.total()} were acknowledged, or others")


def stored_ids(bootstrap: str, topic: str) -> Counter[str]:
    """Count every event id in the envelopes of a topic."""
    return Counter(event_id for _, value in _read(bootstrap, topic) for event_id in event_ids(gzip.decompress(value)))


def event_ids(body: bytes) -> list[str]:
    """Return the ids of an inflated body's events that have one."""
    return [event["event_id"] for event in msgspec.json.decode(body)["events"] if "event_id" in event]


def _identity(event: dict[str, Any]) -> tuple[str, str]:
    return str(event.get("event_id")), str(event.get("event_name"))


def _read(bootstrap: str, topic: str) -> list[_Record]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "bench", "isolation.level": "read_uncommitted", "log_level": 2}
    )
    try:
        partitions = [
            TopicPartition(topic, number, 0) for number in consumer.list_topics(topic).topics[topic].partitions
        ]
        wanted = sum(consumer.get_watermark_offsets(partition)[1] for partition in partitions)
        consumer.assign(partitions)
        records: list[_Record] = []
        while len(records) < wanted:
            batch = consumer.consume(10_000, timeout=10)
            if not batch:
                raise RuntimeError(f"{topic} gave {len(records)} of {wanted} records and then nothing")
            records += [_record(message) for message in batch]
        return records
    finally:
        consumer.close()


def _record(message: Message) -> _Record:
    return cast("list[tuple[str, bytes | None]]", message.headers() or []), message.value() or b""
