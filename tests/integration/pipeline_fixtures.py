"""Fixtures of the pipeline's own functions: shared parts with a topic for every test, and parts a test may stop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.integration.pipeline import Pipeline, create_topic, pipeline
from tests.quiet_imports import import_great_expectations


@pytest.fixture(scope="session")
def gx() -> None:
    import_great_expectations()


@pytest.fixture(scope="session")
def shared_pipe(kafka: Stack, azurite: Stack, snowflake: Stack, gx: None) -> Iterator[Pipeline]:
    """A container and a migrated database that tests use one after the other."""
    with pipeline(kafka.endpoints, azurite.endpoints, snowflake.endpoints, topic="none") as made:
        yield made


@pytest.fixture
def pipe(shared_pipe: Pipeline, topic: str) -> Iterator[Pipeline]:
    """The pipeline on an empty topic with four partitions and an empty database."""
    made = shared_pipe.with_settings(kafka_topic=topic)
    yield made
    made.empty()


@pytest.fixture(scope="session")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka, Azurite and a warehouse of their own, for tests that stop and kill them; locks of the dead go quickly."""
    env = {"LOCAL_SNOWFLAKE_IDLE_ABORT_SECONDS": "1", "LOCAL_SNOWFLAKE_LOCK_SECONDS": "10"}
    parts = ("kafka", "azurite", "snowflake")
    with Stack(tmp_path_factory.mktemp("fragile"), parts=parts, ports="free", env=env) as stack:
        yield stack


@pytest.fixture(scope="session")
def fragile_pipe(fragile: Stack, gx: None) -> Iterator[Pipeline]:
    with pipeline(fragile.endpoints, fragile.endpoints, fragile.endpoints, topic="none") as made:
        yield made


@pytest.fixture
def own(fragile_pipe: Pipeline, fragile: Stack) -> Iterator[Pipeline]:
    """A pipeline whose Kafka, Azurite and warehouse a test may stop."""
    topic = create_topic(fragile.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"])
    made = fragile_pipe.with_settings(kafka_topic=topic)
    yield made
    made.empty()
