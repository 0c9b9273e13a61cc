"""Real parts for the tests: started at first use, shared by the session, with names of their own for every test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from local.stack import Stack

_AZURE = "LOCAL_AZURE_CONNECTION_STRING"
_TOPIC_CONFIG = {"message.timestamp.type": "LogAppendTime", "compression.type": "producer", "flush.messages": "1"}


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One broker; `kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]`."""
    with Stack(tmp_path_factory.mktemp("kafka"), parts=("kafka",), ports="free") as stack:
        yield stack


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Azurite; `azurite.endpoints["LOCAL_AZURE_CONNECTION_STRING"]`."""
    with Stack(tmp_path_factory.mktemp("azurite"), parts=("azurite",), ports="free") as stack:
        yield stack


@pytest.fixture(scope="session")
def snowflake(tmp_path_factory: pytest.TempPathFactory, azurite: Stack) -> Iterator[Stack]:
    """The Snowflake stand-in, reading the session's Azurite; `snowflake.endpoints["AIRFLOW_CONN_WAREHOUSE"]`."""
    env = {name: azurite.endpoints[name] for name in (_AZURE, "LOCAL_AZURITE_PORT", "AIRFLOW_CONN_LAKE")}
    with Stack(tmp_path_factory.mktemp("snowflake"), parts=("snowflake",), ports="free", env=env) as stack:
        yield stack


@pytest.fixture(scope="session")
def amplitude(tmp_path_factory: pytest.TempPathFactory, snowflake: Stack) -> Iterator[Stack]:
    """The Amplitude stand-in with its importer off; `amplitude.endpoints["AIRFLOW_CONN_AMPLITUDE"]`."""
    env = {
        "LOCAL_AMPLITUDE_IMPORT_SECONDS": "0",
        "LOCAL_AMPLITUDE_SNOWFLAKE": snowflake.endpoints["LOCAL_AMPLITUDE_SNOWFLAKE"],
    }
    with Stack(tmp_path_factory.mktemp("amplitude"), parts=("amplitude",), ports="free", env=env) as stack:
        yield stack


@pytest.fixture(scope="session")
def whole_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that `make run` starts, Airflow included, for a test that follows events to the vendor."""
    with Stack(tmp_path_factory.mktemp("whole"), ports="free") as stack:
        yield stack


@pytest.fixture
def new_topic(kafka: Stack) -> Callable[..., str]:
    """A function that creates a topic of its own: `new_topic(partitions=4, **config)` returns its name."""

    def create(partitions: int = 4, **config: str) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        admin = AdminClient({"bootstrap.servers": kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]})
        wanted = {**_TOPIC_CONFIG, **{key.replace("_", "."): value for key, value in config.items()}}
        for done in admin.create_topics([NewTopic(name, partitions, 1, config=wanted)]).values():
            done.result(timeout=10)
        return name

    return create


@pytest.fixture
def topic(new_topic: Callable[..., str]) -> str:
    """An empty topic with four partitions."""
    return new_topic()


@pytest.fixture
def container(azurite: Stack) -> Iterator[ContainerClient]:
    """An empty blob container of its own; `container.container_name`."""
    with BlobServiceClient.from_connection_string(azurite.endpoints[_AZURE]) as service:
        yield service.create_container(f"test-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state folder for a stack that a test starts itself."""
    return tmp_path / "state"
