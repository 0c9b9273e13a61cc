"""What the peers of the drain share: the records of a job's topic, and a place in the lake for their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

from azure.storage.blob import BlobServiceClient
from confluent_kafka import Consumer, TopicPartition

from bench.backlog import Job


class Envelope(NamedTuple):
    """One request as the topic has it."""

    headers: dict[str, str]
    value: bytes


class Drained(NamedTuple):
    """What a peer made of the topic."""

    valid: int
    failed: int
    bytes: int


def envelopes(job: Job) -> Iterator[Envelope]:
    """Yield every record of the topic."""
    reader = Consumer({"bootstrap.servers": job.kafka, "group.id": "peer", "enable.auto.commit": False})
    place = TopicPartition(job.settings.kafka_topic, 0, 0)
    _, end = reader.get_watermark_offsets(place, timeout=10)
    reader.assign([place])
    position = 0
    while position < end:
        for message in reader.consume(500, timeout=1):
            found = cast("list[tuple[str, bytes | None]]", message.headers() or [])
            headers = {name: (raw or b"").decode() for name, raw in found}
            yield Envelope(headers, message.value() or b"")
            position = (message.offset() or 0) + 1
    reader.close()


def upload(job: Job, path: Path) -> int:
    """Put a file into the lake; returns its size."""
    with BlobServiceClient.from_connection_string(job.azure) as service, path.open("rb") as file:
        container = service.get_container_client(job.settings.lake_container)
        container.upload_blob(f"peer/{path.name}", file, overwrite=True)
    return path.stat().st_size
