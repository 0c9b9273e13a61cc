"""The API's settings: defaults that hold together, and what may not be configured away."""

from __future__ import annotations

import pytest

from include.errors import SetupError
from ingest_api import group_commit, settings
from ingest_api.producer import producer_properties


def test_defaults_hold_together() -> None:
    found = settings.load({})
    api, topic = found.api, found.topic
    assert api.host == "127.0.0.1"
    assert topic.name == api.kafka.topic == "events"
    assert api.max_body_bytes >= 20_000_000  # Amplitude's Batch API takes as much
    assert api.ack_timeout_ms < 8_000
    assert api.ack_timeout_ms / 1000 < api.stop_timeout_seconds < 10
    assert api.kafka_deadline_ms == api.ack_timeout_ms


def test_with_a_spool_everything_is_answered_in_time() -> None:
    api = settings.load({"INGEST_SPOOL_DIR": "spool", "INGEST_SPOOL_AFTER_MS": "3000"}).api
    assert api.kafka_deadline_ms == 3000
    assert api.kafka_deadline_ms / 1000 + group_commit._TIMEOUT_SECONDS < api.stop_timeout_seconds <= 8


def test_every_variable_is_described() -> None:
    found = settings.reference()
    assert all(setting.description for setting in found)
    assert len({setting.variable for setting in found}) == len(found)
    prefixes = ("INGEST_", "TOPIC_")
    assert all(setting.variable.startswith(prefixes) for setting in found)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(SetupError, match=r"INGEST_PROT is not a setting \(did you mean INGEST_PORT\?\)"):
        settings.load({"INGEST_PROT": "1"})
    with pytest.raises(SetupError, match="TOPIC_PARTITIONS"):
        settings.load({"TOPIC_PARTITIONS": "many"})


def test_properties_cannot_weaken_the_promise() -> None:
    weak = '{"acks":"0","enable.idempotence":"false","compression.type":"lz4","security.protocol":"SSL"}'
    found = producer_properties(settings.load({"INGEST_KAFKA_PROPERTIES": weak}))
    assert found["acks"] == "all"
    assert found["enable.idempotence"] is True
    assert found["compression.type"] == "none"
    assert found["security.protocol"] == "SSL"


def test_the_room_for_bytes_must_hold_the_largest_body() -> None:
    with pytest.raises(SetupError, match=r"INGEST_MAX_IN_FLIGHT_BYTES=1000 has no room .* at least 56000001"):
        settings.load({"INGEST_MAX_IN_FLIGHT_BYTES": "1000"})
    settings.load({"INGEST_MAX_IN_FLIGHT_BYTES": "56000001"})
    with pytest.raises(SetupError):
        settings.load({"INGEST_MAX_IN_FLIGHT_BYTES": "55999998"})
