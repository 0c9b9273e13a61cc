"""The stack's Python interface on real parts: they serve, die, pause and come back, and nothing stays running."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient
from confluent_kafka import Consumer, Producer, TopicPartition

from include.errors import SetupError
from local import processes
from local.stack import Stack
from local.watch import PartDiedError, PartStatus


def _post(stack: Stack, topic: str, value: bytes, seconds: float = 20.0) -> list[object]:
    """Produce one record and return what the delivery callback got: [None] when it was acknowledged."""
    done: list[object] = []
    producer = Producer(
        {
            "bootstrap.servers": stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
            "acks": "all",
            "message.timeout.ms": int(seconds * 1000),
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
    )
    producer.produce(topic, value, partition=0, on_delivery=lambda error, _message: done.append(error))
    producer.flush(seconds)
    return done


def _values(stack: Stack, topic: str) -> list[bytes | None]:
    servers = stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "test", "log_level": 0})
    try:
        end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() for message in consumer.consume(end, timeout=10)]
    finally:
        consumer.close()


def _status(stack: Stack, part: str) -> PartStatus:
    return next(status for status in stack.status() if status.name == part)


def test_topic_takes_a_record_and_gives_it_back(kafka: Stack, topic: str) -> None:
    assert _post(kafka, topic, b"one") == [None]
    assert _values(kafka, topic) == [b"one"]


def test_container_takes_a_blob_and_gives_it_back(container: ContainerClient) -> None:
    container.upload_blob("a/b", b"data")
    assert container.download_blob("a/b").readall() == b"data"


def test_killed_broker_comes_back_with_its_records(kafka: Stack, topic: str) -> None:
    assert _post(kafka, topic, b"before") == [None]
    before = _status(kafka, "kafka")
    kafka.kill("kafka")
    assert _status(kafka, "kafka").state == "stopped"
    kafka.start_part("kafka")
    assert _status(kafka, "kafka").pid != before.pid
    assert _post(kafka, topic, b"after") == [None]
    assert _values(kafka, topic) == [b"before", b"after"]


def test_paused_broker_acknowledges_nothing_until_resumed(kafka: Stack, topic: str) -> None:
    kafka.pause("kafka")
    try:
        assert _post(kafka, topic, b"unheard", seconds=1.5) != [None]
    finally:
        kafka.resume("kafka")
    assert _post(kafka, topic, b"kept") == [None]


def test_part_that_was_stopped_serves_again_after_its_start(azurite: Stack, container: ContainerClient) -> None:
    container.upload_blob("kept", b"x")
    azurite.stop_part("azurite")
    assert _status(azurite, "azurite").state == "stopped"
    azurite.start_part("azurite")
    assert container.download_blob("kept").readall() == b"x"


def test_state_survives_and_no_process_does(state_dir: Path) -> None:
    with Stack(state_dir, parts=("azurite",), ports="free") as stack:
        keys = stack.endpoints["LOCAL_WRITE_KEY_PHONE_APP"]
        assert len(processes.members(state_dir)) == 2  # supervisord and Azurite
        for name in ("endpoints.env", "client.env"):
            assert (state_dir / name).stat().st_mode & 0o777 == 0o600
        assert keys in (state_dir / "client.env").read_text()
        assert stack.endpoints["PIPELINE_PSEUDONYM_KEY"] not in (state_dir / "client.env").read_text()
        _container(stack, "kept", create=True)
    assert processes.members(state_dir) == []
    assert not (state_dir / "endpoints.env").exists()
    assert not (state_dir / "client.env").exists()
    with Stack(state_dir, parts=("azurite",), ports="free") as stack:
        assert stack.endpoints["LOCAL_WRITE_KEY_PHONE_APP"] == keys
        assert _container(stack, "kept", create=False)


def _container(stack: Stack, name: str, *, create: bool) -> bool:
    with BlobServiceClient.from_connection_string(stack.endpoints["LOCAL_AZURE_CONNECTION_STRING"]) as service:
        client = service.get_container_client(name)
        if create:
            client.create_container()
        return client.exists()


def test_second_stack_on_the_same_state_is_refused(state_dir: Path) -> None:
    with Stack(state_dir, parts=("azurite",), ports="free") as first:
        with pytest.raises(SetupError, match=r"runs \(process \d+\)"):
            Stack(state_dir, parts=("azurite",), ports="free").start()
        assert first.is_ready()
        assert (state_dir / "endpoints.env").exists()


def test_taken_port_is_named_with_its_owner_and_the_variable(state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = Stack(state_dir, parts=("azurite",), env={"LOCAL_AZURITE_PORT": str(port)})
        with pytest.raises(
            SetupError, match=rf"Port {port} is taken by process {os.getpid()} \(.+\); .*LOCAL_AZURITE_PORT=<port>"
        ):
            stack.start()
    assert processes.members(state_dir) == []


def test_part_that_cannot_start_is_named_with_its_last_words(state_dir: Path) -> None:
    lines: list[str] = []
    env = {"INGEST_TYPO": "1", "LOCAL_RESTART_LIMIT": "1"}
    with pytest.raises(PartDiedError, match=r"ingest ended unexpectedly \(exit status 2\)[\s\S]*INGEST_TYPO"):
        Stack(state_dir, parts=("ingest",), ports="free", env=env, say=lines.append).start()
    assert any("started again (1 of 1 times)" in line for line in lines)
    assert processes.members(state_dir) == []


def test_unknown_part_is_refused_with_the_known_ones(state_dir: Path) -> None:
    with pytest.raises(SetupError, match=r"no part 'kafak'; choose from .*kafka"):
        Stack(state_dir, parts=("kafak",), ports="free").start()


def test_new_topic_has_the_partitions_asked_for(kafka: Stack, new_topic: Callable[..., str]) -> None:
    name = new_topic(partitions=2)
    servers = kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "test", "log_level": 0})
    try:
        assert len(consumer.list_topics(name, timeout=10).topics[name].partitions) == 2
    finally:
        consumer.close()
