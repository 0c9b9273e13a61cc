"""The properties of the API's Kafka producer."""

from __future__ import annotations

from ingest_api.settings import Configuration

_RECORD_OVERHEAD_BYTES = 4096


def producer_properties(configuration: Configuration) -> dict[str, str | int | float | bool]:
    """Return the producer's properties; those of INGEST_KAFKA_PROPERTIES may not weaken the promise."""
    api = configuration.api
    return {
        "client.id": "ingest_api",
        "reconnect.backoff.max.ms": 500,
        **api.kafka.librdkafka(),
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "none",
        "linger.ms": api.linger_ms,
        # After the deadline nobody waits for the record any more: it was spooled, or its request answered 503.
        "message.timeout.ms": api.kafka_deadline_ms,
        "request.timeout.ms": api.kafka_deadline_ms,
        "message.max.bytes": configuration.topic.max_message_bytes + _RECORD_OVERHEAD_BYTES,
        "queue.buffering.max.kbytes": max(1, api.queue_bytes // 1024),
        "queue.buffering.max.messages": 1_000_000,
    }
