"""An ingest API of its own for the generated tests, with short timeouts, and a reader of its topic."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from local.stack import Stack
from tests.fuzz.limits import ENVIRONMENT, MESSAGE_BYTES
from tests.fuzz.topic_tail import TopicTail
from tests.fuzz.watched_api import WatchedApi
from tests.integration.ingest_server import KEY, ApiServer, write_sources


@pytest.fixture(scope="session")
def fuzzed_topic(kafka: Stack) -> str:
    name = f"fuzz-{uuid.uuid4().hex[:12]}"
    wish = TopicSettings(partitions=2, replication_factor=1, min_insync_replicas=1, max_message_bytes=MESSAGE_BYTES)
    admin = AdminClient({"bootstrap.servers": kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]})
    topic_spec.apply(admin, topic_spec.TopicSpec.of(name, wish))
    return name


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory, kafka: Stack, fuzzed_topic: str) -> Iterator[WatchedApi]:
    folder = tmp_path_factory.mktemp("fuzz")
    environment = {
        **ENVIRONMENT,
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
        "INGEST_KAFKA_TOPIC": fuzzed_topic,
        "INGEST_SOURCES_PATH": str(write_sources(folder / "sources.json")),
    }
    with ApiServer(folder, environment) as running:
        running.await_ready()
        watched = WatchedApi(running)
        yield watched
        watched.assert_well()
        assert running.stop() == 0
        assert KEY not in running.log()


@pytest.fixture
def tail(kafka: Stack, fuzzed_topic: str) -> Iterator[TopicTail]:
    """A reader that begins behind what other tests stored."""
    with TopicTail(kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"], fuzzed_topic) as reading:
        reading.take_all()
        yield reading
