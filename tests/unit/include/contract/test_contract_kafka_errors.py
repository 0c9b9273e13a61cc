"""Kafka's errors as ours: who acts."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from include.contract.kafka_errors import translate
from include.errors import SetupError, TransientError


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._DESTROY_BROKER,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError._TIMED_OUT,
    ],
)
def test_what_may_pass_is_retried(code: int) -> None:
    found = translate(KafkaException(KafkaError(code)), "reading topic t")
    assert type(found) is TransientError
    assert str(found).startswith("reading topic t: ")


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._AUTHENTICATION])
def test_what_needs_a_human_is_setup(code: int) -> None:
    assert type(translate(KafkaError(code), "reading")) is SetupError
