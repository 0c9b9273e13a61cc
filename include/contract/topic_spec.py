"""Says what the topic must be, compares it with what it is, creates or corrects it; for the API, the DAGs, operators.

Command: `python -m include.contract.topic_spec apply|check`, with INGEST_KAFKA_* for the connection and TOPIC_* for
what is demanded.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from include.contract import settings
from include.contract.kafka_errors import translate
from include.contract.kafka_settings import CONNECTION_PREFIX, TOPIC_PREFIX, KafkaConnection, TopicSettings
from include.errors import PipelineError, SetupError, TransientError

TIMEOUT_SECONDS = 10.0
_VISIBLE_TRIES = 40
_VISIBLE_SECONDS = 0.25


class TopicSpec(msgspec.Struct, frozen=True):
    """The topic as it must be for a 200 to mean durable."""

    name: str
    partitions: int
    replication_factor: int
    min_insync_replicas: int
    retention_ms: int
    max_message_bytes: int
    flush_messages: int | None

    @classmethod
    def of(cls, name: str, wish: TopicSettings) -> TopicSpec:
        """Build the spec; one lone copy is only safe when every record is fsynced before its acknowledgement."""
        flush = wish.flush_messages
        if flush is None and wish.replication_factor == 1:
            flush = 1
        return cls(
            name=name,
            partitions=wish.partitions,
            replication_factor=wish.replication_factor,
            min_insync_replicas=wish.min_insync_replicas,
            retention_ms=wish.retention_ms,
            max_message_bytes=wish.max_message_bytes,
            flush_messages=flush,
        )

    def configs(self) -> dict[str, str]:
        """Topic settings as Kafka spells them."""
        found = {
            "message.timestamp.type": "LogAppendTime",
            "compression.type": "producer",
            "cleanup.policy": "delete",
            "unclean.leader.election.enable": "false",
            "min.insync.replicas": str(self.min_insync_replicas),
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
        }
        if self.flush_messages is not None:
            found["flush.messages"] = str(self.flush_messages)
        return found


class TopicState(msgspec.Struct, frozen=True):
    """The topic as it is; `partitions` is 0 where there is none."""

    name: str
    topic_id: str = ""
    partitions: int = 0
    replication_factor: int = 0
    insync_replicas: int = 0
    configs: Mapping[str, str] = {}


# More than asked for is fine for these; every other setting must be equal.
_AT_LEAST = frozenset({"min.insync.replicas", "retention.ms", "max.message.bytes"})
_APPLY = "run `python -m include.contract.topic_spec apply`"


def differences(spec: TopicSpec, actual: TopicState) -> list[str]:
    """Say in sentences what is, what is needed and how to correct it; empty when the topic keeps the promise."""
    if actual.partitions == 0:
        return [f"topic {spec.name} does not exist; {_APPLY}"]
    found = []
    if actual.partitions < spec.partitions:
        found.append(f"topic {spec.name} has {actual.partitions} partitions, needs {spec.partitions}; {_APPLY}")
    if actual.replication_factor < spec.replication_factor:
        found.append(
            f"topic {spec.name} has {actual.replication_factor} copies of each record, needs "
            f"{spec.replication_factor}; reassign its partitions (kafka-reassign-partitions)"
        )
    if actual.insync_replicas < spec.min_insync_replicas:
        found.append(
            f"a partition of topic {spec.name} has {actual.insync_replicas} copies in sync, needs "
            f"{spec.min_insync_replicas}; bring the missing brokers back"
        )
    return found + [
        f"topic {spec.name} has {name}={actual.configs.get(name, 'unknown')}, needs "
        f"{'at least ' if name in _AT_LEAST else ''}{needed}; {_APPLY}"
        for name, needed in _wrong_configs(spec, actual).items()
    ]


def describe(admin: AdminClient, topic: str, timeout_seconds: float = TIMEOUT_SECONDS) -> TopicState:
    """Read the topic from the cluster; raises TransientError or SetupError."""
    doing = f"describing topic {topic}"
    try:
        description = _wait(admin.describe_topics(TopicCollection([topic]), request_timeout=timeout_seconds), doing)
    except _UnknownTopicError:
        return TopicState(topic)
    resource = ConfigResource(ResourceType.TOPIC, topic)
    entries = _wait(admin.describe_configs([resource], request_timeout=timeout_seconds), doing)
    partitions = description.partitions
    return TopicState(
        name=topic,
        topic_id=str(description.topic_id),
        partitions=len(partitions),
        replication_factor=min(len(partition.replicas) for partition in partitions),
        insync_replicas=min(len(partition.isr) for partition in partitions),
        configs={name: entry.value for name, entry in entries.items()},
    )


def apply(admin: AdminClient, spec: TopicSpec) -> list[str]:
    """Create the topic or correct what can be corrected without losing data; say what was done once it is visible.

    Adds partitions and changes settings, never reduces partitions, retention or sizes.
    """
    actual = describe(admin, spec.name)
    if actual.partitions == 0:
        _create(admin, spec)
        done = [f"created topic {spec.name} with {spec.partitions} partitions, {spec.replication_factor} copies"]
    else:
        done = [*_add_partitions(admin, spec, actual), *_set_configs(admin, spec, actual)]
    if done:
        _await_visible(admin, spec)
    return done


def check(admin: AdminClient, spec: TopicSpec, timeout_seconds: float = TIMEOUT_SECONDS) -> TopicState:
    """Return the topic's state; raises SetupError listing every difference, TransientError when Kafka is away."""
    actual = describe(admin, spec.name, timeout_seconds)
    if found := differences(spec, actual):
        raise SetupError("; ".join(found))
    return actual


def _satisfies(name: str, needed: str, actual: str | None) -> bool:
    if name == "retention.ms" and actual == "-1":
        return True
    if name in _AT_LEAST and actual is not None and actual.lstrip("-").isdigit():
        return int(actual) >= int(needed)
    return actual == needed


def _create(admin: AdminClient, spec: TopicSpec) -> None:
    topic = NewTopic(
        spec.name,
        num_partitions=spec.partitions,
        replication_factor=spec.replication_factor,
        config=spec.configs(),
    )
    _wait(admin.create_topics([topic], operation_timeout=TIMEOUT_SECONDS), f"creating topic {spec.name}")


def _add_partitions(admin: AdminClient, spec: TopicSpec, actual: TopicState) -> list[str]:
    if actual.partitions >= spec.partitions:
        return []
    _wait(admin.create_partitions([NewPartitions(spec.name, spec.partitions)]), f"adding partitions to {spec.name}")
    return [f"added partitions to topic {spec.name}: {actual.partitions} to {spec.partitions}"]


def _set_configs(admin: AdminClient, spec: TopicSpec, actual: TopicState) -> list[str]:
    changes = _wrong_configs(spec, actual)
    if not changes:
        return []
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in changes.items()]
    resource = ConfigResource(ResourceType.TOPIC, spec.name, incremental_configs=entries)
    _wait(admin.incremental_alter_configs([resource]), f"changing settings of topic {spec.name}")
    return [
        f"set {name} of topic {spec.name} from {actual.configs.get(name, 'unknown')} to {needed}"
        for name, needed in changes.items()
    ]


def _wrong_configs(spec: TopicSpec, actual: TopicState) -> dict[str, str]:
    return {
        name: needed
        for name, needed in spec.configs().items()
        if not _satisfies(name, needed, actual.configs.get(name))
    }


def _await_visible(admin: AdminClient, spec: TopicSpec) -> None:
    """Give the brokers a moment to tell each other; what is still different then is for `check` to say."""
    for _ in range(_VISIBLE_TRIES):
        actual = describe(admin, spec.name)
        if actual.partitions >= spec.partitions and not _wrong_configs(spec, actual):
            return
        time.sleep(_VISIBLE_SECONDS)


class _UnknownTopicError(Exception):
    """Kafka answered that there is no such topic."""


def _wait(futures: Mapping[Any, Future[Any]], doing: str) -> Any:  # noqa: ANN401 (what Kafka answers differs by call)
    (future,) = futures.values()
    try:
        return future.result(TIMEOUT_SECONDS + 1)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise _UnknownTopicError from error
        raise translate(error, doing) from error
    except TimeoutError as error:
        raise TransientError(f"{doing}: no answer from Kafka within {TIMEOUT_SECONDS:.0f} s") from error


def main(arguments: list[str]) -> int:
    """Apply or check; exit status 0 when the topic is as needed, 1 when not, 2 on wrong use."""
    if arguments not in (["apply"], ["check"]):
        print(f"{__doc__}\nusage: python -m include.contract.topic_spec apply|check", file=sys.stderr)  # noqa: T201
        return 2
    try:
        connection = settings.load(KafkaConnection, CONNECTION_PREFIX, os.environ)
        spec = TopicSpec.of(connection.topic, settings.load(TopicSettings, TOPIC_PREFIX, os.environ))
        admin = AdminClient(connection.librdkafka())
        for line in apply(admin, spec) if arguments == ["apply"] else []:
            print(line)  # noqa: T201
        check(admin, spec)
    except PipelineError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(f"topic {spec.name} is as needed")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
