"""Amplitude's largest batch, 20 MB, through the API as it is set by default, while others go on."""

from __future__ import annotations

import gzip
import json
import secrets
import threading
import time
import uuid
from pathlib import Path

from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from local.stack import Stack
from tests.integration.ingest_server import EVENT, KEY, ApiServer, read_topic, write_sources

EVENTS = 2_000


def _topic(bootstrap: str) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    wish = TopicSettings(replication_factor=1, min_insync_replicas=1)
    topic_spec.apply(AdminClient({"bootstrap.servers": bootstrap}), topic_spec.TopicSpec.of(name, wish))
    return name


def _batch() -> bytes:
    # Hexadecimal digits of chance pack to half their size: more than one record's worth.
    events = [
        {"event_type": "a", "user_id": "u", "insert_id": f"i-{number}", "x": secrets.token_hex(4_900)}
        for number in range(EVENTS)
    ]
    return json.dumps({"api_key": KEY, "events": events}, separators=(",", ":")).encode()


def test_a_batch_of_20_megabytes(kafka: Stack, tmp_path: Path) -> None:
    bootstrap = kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
    topic = _topic(bootstrap)
    environment = {
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "INGEST_KAFKA_TOPIC": topic,
        "INGEST_SOURCES_PATH": str(write_sources(tmp_path / "sources.json")),
    }
    body = _batch()
    assert 19_500_000 < len(body) < 20_000_000
    with ApiServer(tmp_path, environment) as server:
        server.await_ready()
        answers = []
        large = threading.Thread(target=lambda: answers.append(server.request("POST", "/batch", body)))
        large.start()
        while large.is_alive():
            assert server.post({"events": [EVENT]}).status == 200
            time.sleep(0.01)
        assert answers[0].status == 200, answers[0].body
        assert answers[0].json["events_ingested"] == EVENTS
    records = [record for record in read_topic(bootstrap, topic) if record.headers["dialect"] == "amplitude"]
    assert len(records) > 1
    found = [event["insert_id"] for record in records for event in json.loads(gzip.decompress(record.value))["events"]]
    assert sorted(found) == sorted(f"i-{number}" for number in range(EVENTS))
