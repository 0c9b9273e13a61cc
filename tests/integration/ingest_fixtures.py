"""A running ingest API for tests, its topic, and what the topic stored of an answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from local.stack import Stack
from tests.integration.ingest_server import KEY, Answer, ApiServer, Record, read_topic, write_sources

LIMITS = {
    "INGEST_MAX_BODY_BYTES": "200000",
    "INGEST_MAX_INFLATED_BYTES": "1000000",
    "INGEST_MAX_EVENTS": "100",
    "TOPIC_MAX_MESSAGE_BYTES": "100000",
}

Stored = Callable[[Answer], list[Record]]


@pytest.fixture(scope="session")
def ingest_topic(kafka: Stack) -> str:
    bootstrap = kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
    name = f"test-{uuid.uuid4().hex[:12]}"
    wish = TopicSettings(
        partitions=2,
        replication_factor=1,
        min_insync_replicas=1,
        max_message_bytes=int(LIMITS["TOPIC_MAX_MESSAGE_BYTES"]),
    )
    topic_spec.apply(AdminClient({"bootstrap.servers": bootstrap}), topic_spec.TopicSpec.of(name, wish))
    return name


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, kafka: Stack, ingest_topic: str) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("ingest")
    environment = {
        **LIMITS,
        "TOPIC_PARTITIONS": "2",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
        "INGEST_KAFKA_TOPIC": ingest_topic,
        "INGEST_SOURCES_PATH": str(write_sources(folder / "sources.json")),
    }
    with ApiServer(folder, environment) as running:
        running.await_ready()
        yield running
        assert running.stop() == 0
        assert [line for line in running.log().splitlines() if '"level":"error"' in line] == []
        assert KEY not in running.log()


@pytest.fixture
def stored(kafka: Stack, ingest_topic: str, server: ApiServer) -> Stored:
    def find(answer: Answer) -> list[Record]:
        records = read_topic(kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"], ingest_topic)
        return [record for record in records if record.headers["request_id"] == answer.headers["x-request-id"]]

    return find
