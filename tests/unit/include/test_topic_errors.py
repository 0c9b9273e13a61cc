"""Kafka records and errors without a broker: what a record announces, which error is a gap, when a part is away."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from confluent_kafka import KafkaError, KafkaException

from include import topic
from include.errors import DataGapError, PipelineError, SetupError, TransientError
from include.topic import Record, kafka_error, observe

NOBODY = {"bootstrap.servers": "127.0.0.1:9", "log_level": 0}


@pytest.mark.parametrize(("headers", "announced"), [
    ([("event_count", b"50")], 50), ([], 1), ([("event_count", None)], 1), ([("event_count", b"-3")], 1),
    ([("event_count", b"many")], 1), ([("event_count", b"0")], 1), ([("event_count", b"9999999999999")], 1),
    ([("other", b"7"), ("event_count", b"2")], 2),
])  # fmt: skip
def test_a_record_announces_what_the_edge_stamped_or_one(
    headers: list[tuple[str, bytes | None]], announced: int
) -> None:
    assert Record(0, 0, headers, b"").announced == announced


@pytest.mark.parametrize(("code", "ours"), [
    (KafkaError._AUTO_OFFSET_RESET, DataGapError),
    (KafkaError.TOPIC_AUTHORIZATION_FAILED, SetupError),
    (KafkaError.SASL_AUTHENTICATION_FAILED, SetupError),
    (KafkaError._UNKNOWN_PARTITION, TransientError),
    (KafkaError.FENCED_LEADER_EPOCH, TransientError),
    (KafkaError.NOT_LEADER_FOR_PARTITION, TransientError),
    (KafkaError._TRANSPORT, TransientError),
    (KafkaError._ALL_BROKERS_DOWN, TransientError),
])  # fmt: skip
def test_each_error_says_who_acts(code: int, ours: type[PipelineError]) -> None:
    for error in (KafkaError(code), KafkaException(KafkaError(code))):
        mapped = kafka_error(error, "draining events-3")
        assert type(mapped) is ours
        assert "draining events-3" in str(mapped)


def test_a_kafka_that_is_away_is_transient_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic, "CALL_TIMEOUT_S", 0.1)
    monkeypatch.setattr(topic, "RETRY_TIMEOUT_S", 0.3)
    with pytest.raises(TransientError, match="reading events's offsets"):
        observe(NOBODY, "events", datetime(2026, 11, 23, tzinfo=UTC))


def test_group_offsets_of_a_kafka_that_is_away_are_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic, "CALL_TIMEOUT_S", 0.1)
    with pytest.raises(TransientError, match="committing group stage_events"):
        topic.commit(NOBODY, "events", {0: 5})


def test_the_reader_settings_that_exactness_needs_win_over_the_connections() -> None:
    reader = topic.consumer({**NOBODY, "isolation.level": "read_committed", "enable.auto.commit": True})
    reader.close()
    assert topic._READER["isolation.level"] == "read_uncommitted"
    assert topic._READER["auto.offset.reset"] == "error"
    assert topic._READER["enable.auto.commit"] is False
