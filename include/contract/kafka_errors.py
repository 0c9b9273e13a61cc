"""Turns confluent_kafka's errors into ours, for everything that talks to Kafka."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from include.errors import PipelineError, SetupError, TransientError

_FOR_A_HUMAN = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_CONFIG,
        KafkaError._AUTHENTICATION,  # noqa: SLF001 (librdkafka's local error codes are spelled so)
        KafkaError._INVALID_ARG,  # noqa: SLF001
    }
)


def translate(error: KafkaException | KafkaError, doing: str) -> PipelineError:
    """Return SetupError where a human must act, else TransientError.

    librdkafka marks errors of a restarting broker as not retriable (UNKNOWN_PARTITION, FENCED_LEADER_EPOCH), so
    everything that is not clearly a matter of set-up is worth a retry.
    """
    inner = error.args[0] if isinstance(error, KafkaException) else error
    text = f"{doing}: {inner.str()} ({inner.name()})" if isinstance(inner, KafkaError) else f"{doing}: {inner}"
    if isinstance(inner, KafkaError) and inner.code() in _FOR_A_HUMAN:
        return SetupError(f"{text}; see docs/runbooks/kafka-refused.md")
    return TransientError(text)
