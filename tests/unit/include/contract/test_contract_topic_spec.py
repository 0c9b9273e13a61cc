"""What is demanded of the topic, and the sentences about what differs."""

from __future__ import annotations

import msgspec
import pytest

from include.contract.kafka_settings import KafkaConnection, TopicSettings
from include.contract.topic_spec import TopicSpec, TopicState, differences, main

SPEC = TopicSpec.of("events", TopicSettings())
AS_NEEDED = TopicState(
    name="events",
    topic_id="t",
    partitions=4,
    replication_factor=3,
    insync_replicas=3,
    configs={**SPEC.configs(), "flush.messages": "9223372036854775807"},
)


def test_a_topic_as_needed_has_no_differences() -> None:
    assert differences(SPEC, AS_NEEDED) == []


def test_more_than_needed_is_fine() -> None:
    configs = {**AS_NEEDED.configs, "retention.ms": "-1", "max.message.bytes": "99999999", "min.insync.replicas": "3"}
    more = msgspec.structs.replace(AS_NEEDED, partitions=64, replication_factor=5, configs=configs)
    assert differences(SPEC, more) == []


def test_a_missing_topic_is_one_difference() -> None:
    (found,) = differences(SPEC, TopicState("events"))
    assert found.startswith("topic events does not exist; run `python -m include.contract.topic_spec apply`")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"partitions": 3}, "topic events has 3 partitions, needs 4"),
        ({"replication_factor": 1}, "topic events has 1 copies of each record, needs 3"),
        ({"insync_replicas": 1}, "a partition of topic events has 1 copies in sync, needs 2"),
    ],
)
def test_shape(change: dict[str, int], sentence: str) -> None:
    (found,) = differences(SPEC, msgspec.structs.replace(AS_NEEDED, **change))
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("message.timestamp.type", "CreateTime", "LogAppendTime"),
        ("compression.type", "lz4", "producer"),
        ("cleanup.policy", "compact", "delete"),
        ("cleanup.policy", "compact,delete", "delete"),
        ("unclean.leader.election.enable", "true", "false"),
        ("min.insync.replicas", "1", "at least 2"),
        ("retention.ms", "60000", "at least 604800000"),
        ("max.message.bytes", "1048588", "at least 8388608"),
    ],
)
def test_settings(name: str, value: str, needed: str) -> None:
    changed = msgspec.structs.replace(AS_NEEDED, configs={**AS_NEEDED.configs, name: value})
    (found,) = differences(SPEC, changed)
    assert found.startswith(f"topic events has {name}={value}, needs {needed}; ")


def test_a_setting_that_kafka_does_not_tell_is_a_difference() -> None:
    configs = dict(AS_NEEDED.configs)
    del configs["retention.ms"]
    (found,) = differences(SPEC, msgspec.structs.replace(AS_NEEDED, configs=configs))
    assert "retention.ms=unknown" in found


def test_a_lone_copy_is_flushed_at_every_record() -> None:
    lone = TopicSpec.of("events", TopicSettings(replication_factor=1, min_insync_replicas=1))
    assert lone.configs()["flush.messages"] == "1"
    assert "flush.messages" not in SPEC.configs()
    chosen = TopicSpec.of("events", TopicSettings(replication_factor=1, flush_messages=100))
    assert chosen.configs()["flush.messages"] == "100"
    state = TopicState("events", "t", 4, 1, 1, {**lone.configs(), "flush.messages": "9223372036854775807"})
    assert [text for text in differences(lone, state) if "flush.messages" in text]


def test_connection_properties_reach_librdkafka() -> None:
    connection = KafkaConnection("a:1,b:2", "t", {"security.protocol": "SSL"})
    found = connection.librdkafka()
    assert found["bootstrap.servers"] == "a:1,b:2"
    assert found["security.protocol"] == "SSL"


@pytest.mark.parametrize("arguments", [[], ["destroy"], ["apply", "now"]])
def test_wrong_use_of_the_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: " in capsys.readouterr().err
