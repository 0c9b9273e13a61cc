"""Settings of the connection to Kafka and of what is demanded of the topic, for the API and operators."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

TOPIC_PREFIX = "TOPIC_"
CONNECTION_PREFIX = "INGEST_KAFKA_"
_DAY_MS = 24 * 3600 * 1000
# While a broker is away librdkafka logs several lines per second; its errors reach the caller anyway.
_CRITICAL = 2


class TopicSettings(msgspec.Struct, frozen=True):
    """What is demanded of the topic; the defaults are those of a production cluster."""

    partitions: Annotated[int, Meta(ge=1, description="Partitions at least; more are fine, fewer never happen")] = 4
    replication_factor: Annotated[int, Meta(ge=1, description="Copies of every record; 1 only on one machine")] = 3
    min_insync_replicas: Annotated[
        int, Meta(ge=1, description="Copies that must have a record before it is acknowledged; 1 only on one machine")
    ] = 2
    retention_ms: Annotated[
        int, Meta(ge=60_000, description="How long Kafka keeps records at least, in ms: the longest outage to survive")
    ] = 7 * _DAY_MS
    max_message_bytes: Annotated[
        int, Meta(ge=1024, description="Largest record the topic takes at least, in bytes")
    ] = 8 * 1024 * 1024
    flush_messages: Annotated[
        int | None,
        Meta(description="Records between two fsyncs; empty: 1 where there is one copy only, else left to Kafka"),
    ] = None


class KafkaConnection(msgspec.Struct, frozen=True):
    """Where the topic is."""

    bootstrap_servers: Annotated[
        str, Meta(min_length=1, description="Kafka brokers to ask first, host:port, comma separated")
    ] = "127.0.0.1:9092"
    topic: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}\Z", description="Topic that gets the envelopes")] = (
        "events"
    )
    properties: Annotated[
        dict[str, str], Meta(description="More librdkafka properties as a JSON object (TLS, SASL); may hold secrets")
    ] = {}

    def librdkafka(self) -> dict[str, str | int | float | bool]:
        """Return the properties that any client of this cluster starts from."""
        return {"bootstrap.servers": self.bootstrap_servers, "log_level": _CRITICAL, **self.properties}
