"""What the topic must be for a 200 to mean durable, and the sentences about what differs; no Kafka needed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from include.contract.kafka_settings import TopicSettings


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
        for name, needed in wrong_configs(spec, actual).items()
    ]


def wrong_configs(spec: TopicSpec, actual: TopicState) -> dict[str, str]:
    """Return the settings that are not as needed, with what is needed."""
    return {
        name: needed
        for name, needed in spec.configs().items()
        if not _satisfies(name, needed, actual.configs.get(name))
    }


def _satisfies(name: str, needed: str, actual: str | None) -> bool:
    if name == "retention.ms" and actual == "-1":
        return True
    if name in _AT_LEAST and actual is not None and actual.lstrip("-").isdigit():
        return int(actual) >= int(needed)
    return actual == needed
