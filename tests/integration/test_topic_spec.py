"""The topic's declarative step against a real broker: creates, corrects, never reduces, says what differs."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

import msgspec
import pytest
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from include.contract.topic_spec import TopicSpec
from include.errors import SetupError, TransientError
from local.paths import ROOT
from local.stack import Stack

WISH = TopicSettings(partitions=2, replication_factor=1, min_insync_replicas=1)


@pytest.fixture
def admin(kafka: Stack) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"], "log_level": 2})


@pytest.fixture
def spec() -> TopicSpec:
    return TopicSpec.of(f"test-{uuid.uuid4().hex[:12]}", WISH)


def test_created_once_and_as_needed(admin: AdminClient, spec: TopicSpec) -> None:
    with pytest.raises(SetupError, match="does not exist"):
        topic_spec.check(admin, spec)
    assert topic_spec.apply(admin, spec) == [f"created topic {spec.name} with 2 partitions, 1 copies"]
    state = topic_spec.check(admin, spec)
    assert state.partitions == 2
    assert state.replication_factor == 1
    assert state.topic_id
    assert state.configs["message.timestamp.type"] == "LogAppendTime"
    assert state.configs["flush.messages"] == "1"
    assert topic_spec.apply(admin, spec) == []
    assert topic_spec.check(admin, spec) == state


def test_corrected_but_never_reduced(admin: AdminClient, spec: TopicSpec) -> None:
    topic_spec.apply(admin, spec)
    before = topic_spec.describe(admin, spec.name)
    more = msgspec.structs.replace(spec, partitions=5, retention_ms=spec.retention_ms * 2)
    assert topic_spec.apply(admin, more) == [
        f"added partitions to topic {spec.name}: 2 to 5",
        f"set retention.ms of topic {spec.name} from {spec.retention_ms} to {spec.retention_ms * 2}",
    ]
    after = topic_spec.check(admin, more)
    assert after.topic_id == before.topic_id
    less = msgspec.structs.replace(spec, partitions=1, retention_ms=60_000, max_message_bytes=1024)
    assert topic_spec.apply(admin, less) == []
    assert topic_spec.describe(admin, spec.name) == after


def test_a_copy_that_is_missing_is_told_not_made(admin: AdminClient, spec: TopicSpec) -> None:
    topic_spec.apply(admin, spec)
    with pytest.raises(SetupError, match="has 1 copies of each record, needs 3; reassign"):
        topic_spec.check(admin, msgspec.structs.replace(spec, replication_factor=3))


def test_no_broker_is_transient(spec: TopicSpec) -> None:
    away = AdminClient({"bootstrap.servers": "127.0.0.1:1", "log_level": 2})
    with pytest.raises(TransientError, match=f"describing topic {spec.name}"):
        topic_spec.check(away, spec, timeout_seconds=1.0)


def test_the_command_is_repeatable(kafka: Stack, spec: TopicSpec) -> None:
    def run(verb: str, **more: str) -> subprocess.CompletedProcess[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("INGEST_", "TOPIC_"))}
        environment = {
            **own,
            "INGEST_KAFKA_BOOTSTRAP_SERVERS": kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
            "INGEST_KAFKA_TOPIC": spec.name,
            "TOPIC_REPLICATION_FACTOR": "1",
            "TOPIC_MIN_INSYNC_REPLICAS": "1",
            **more,
        }
        command = [sys.executable, "-W", "error", "-m", "include.contract.topic_spec", verb]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    assert run("check").returncode == 1
    first, second = run("apply"), run("apply")
    assert first.stdout.splitlines() == [
        f"created topic {spec.name} with 4 partitions, 1 copies",
        f"topic {spec.name} is as needed",
    ]
    assert (second.returncode, second.stdout) == (0, f"topic {spec.name} is as needed\n")
    strict = run("check", TOPIC_MIN_INSYNC_REPLICAS="2")
    assert strict.returncode == 1
    assert "min.insync.replicas=1, needs at least 2" in strict.stderr
    assert "TOPIC_SHAPE is not a setting" in run("check", TOPIC_SHAPE="round").stderr
