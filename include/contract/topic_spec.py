"""Compares the topic with what it must be, creates or corrects it; for the API, the DAGs and operators.

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
from include.contract.topic_wish import TopicSpec, TopicState, differences, wrong_configs
from include.errors import PipelineError, SetupError, TransientError

__all__ = ["TopicSpec", "TopicState", "apply", "check", "describe", "differences"]

TIMEOUT_SECONDS = 10.0
_VISIBLE_TRIES = 40
_VISIBLE_SECONDS = 0.25


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
        raise SetupError("; ".join(found) + "; see docs/runbooks/kafka-refused.md")
    return actual


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
    changes = wrong_configs(spec, actual)
    if not changes:
        return []
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in changes.items()]
    resource = ConfigResource(ResourceType.TOPIC, spec.name, incremental_configs=entries)
    _wait(admin.incremental_alter_configs([resource]), f"changing settings of topic {spec.name}")
    return [
        f"set {name} of topic {spec.name} from {actual.configs.get(name, 'unknown')} to {needed}"
        for name, needed in changes.items()
    ]


def _await_visible(admin: AdminClient, spec: TopicSpec) -> None:
    """Give the brokers a moment to tell each other; what is still different then is for `check` to say."""
    for _ in range(_VISIBLE_TRIES):
        actual = describe(admin, spec.name)
        if actual.partitions >= spec.partitions and not wrong_configs(spec, actual):
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
