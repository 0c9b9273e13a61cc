"""A backlog of believable envelopes in a topic, and the clients of a stack, for the benchmarks of drain and load."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from include.contract import edge, topic_spec
from include.contract.compression import inflate
from include.contract.envelope import Envelope
from include.contract.kafka_settings import TopicSettings
from include.settings import PipelineSettings
from local.stack import Stack
from local.traffic import PlannedRequest, TrafficConfig, corpus

EVENTS_PER_REQUEST = 50
ONE_BROKER = TopicSettings(partitions=1, replication_factor=1, min_insync_replicas=1)
MAX_INFLATED_BYTES = 100_000_000


class Job(msgspec.Struct, frozen=True):
    """What a measured process needs to know."""

    kafka: str
    azure: str
    settings: PipelineSettings
    interval_end: datetime

    @property
    def interval(self) -> tuple[datetime, datetime]:
        """Interval that ends behind the whole backlog."""
        return self.interval_end - timedelta(minutes=1), self.interval_end


@contextmanager
def backlog(events: int, parts: tuple[str, ...]) -> Iterator[tuple[Stack, Job]]:
    """Start the parts and fill a topic of one partition with `events` events."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Stack(Path(folder) / "state", parts=parts, ports="free") as stack,
    ):
        job = new_job(stack, ONE_BROKER, plan_max_envelopes=events)
        fill(job, events, Path(folder))
        yield stack, msgspec.structs.replace(job, interval_end=datetime.now(UTC))


def new_job(stack: Stack, shape: TopicSettings, **settings: Any) -> Job:  # noqa: ANN401 - as PipelineSettings takes them
    """Make an empty topic of a stack, and say how to drain it."""
    bootstrap = stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
    name = f"bench-{uuid.uuid4().hex[:12]}"
    topic_spec.apply(AdminClient({"bootstrap.servers": bootstrap}), topic_spec.TopicSpec.of(name, shape))
    pipeline = PipelineSettings(
        sources_file=stack.endpoints["PIPELINE_SOURCES_FILE"], pseudonym_key="00" * 32, kafka_topic=name,
        plan_grace_seconds=0.0, **settings,
    )  # fmt: skip
    return Job(bootstrap, stack.endpoints["LOCAL_AZURE_CONNECTION_STRING"], pipeline, datetime.now(UTC))


def fill(job: Job, events: int, folder: Path) -> None:
    """Produce the envelopes that the API would make of generated requests."""
    config = TrafficConfig(
        seed=1, start=datetime.now(UTC) - timedelta(hours=1), events_per_request=EVENTS_PER_REQUEST,
        events_per_second=events / 3600, daily_curve=False,
    )  # fmt: skip
    for _ in produced(job, corpus(folder, config, events // EVENTS_PER_REQUEST)):
        pass


def produced(job: Job, requests: Iterable[PlannedRequest]) -> Iterator[PlannedRequest]:
    """Produce the envelopes of requests, and yield each; Kafka has them all when the last one was taken."""
    producer = Producer({"bootstrap.servers": job.kafka, "enable.idempotence": True, "linger.ms": 20})
    for request in requests:
        envelope = envelope_of(request)
        producer.produce(job.settings.kafka_topic, envelope.value, headers=envelope.headers())
        producer.poll(0)
        if len(producer) > 50_000:
            producer.flush(60)
        yield request
    if producer.flush(60):
        raise RuntimeError("Kafka did not take the whole backlog")


def envelope_of(request: PlannedRequest) -> Envelope:
    """Return what the API would hand to Kafka for a request."""
    checked = edge.check(inflate(request.body, MAX_INFLATED_BYTES))
    return Envelope(
        request_id=uuid.uuid4().hex, source_id=request.source_id, dialect="v1", received_at=request.due_at,
        content_encoding="gzip", event_count=checked.event_count, value=request.body, rejected=checked.rejected,
    )  # fmt: skip
