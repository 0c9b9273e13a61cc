"""A spool on a disk that is really full: no 200 without the bytes on it, and all of them in the topic in the end."""

from __future__ import annotations

import secrets
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from local.stack import Stack
from tests.faults.small_disk import SmallDisk
from tests.integration.ingest_server import Answer, ApiServer, read_topic, write_sources

pytestmark = pytest.mark.slow
DISK_BYTES = 4 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "disk", DISK_BYTES) as made:
        yield made


def _environment(folder: Path, disk: SmallDisk, bootstrap: str) -> dict[str, str]:
    topic = f"test-{uuid.uuid4().hex[:12]}"
    wish = TopicSettings(partitions=1, replication_factor=1, min_insync_replicas=1)
    topic_spec.apply(AdminClient({"bootstrap.servers": bootstrap}), topic_spec.TopicSpec.of(topic, wish))
    return {
        "TOPIC_PARTITIONS": "1",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "INGEST_KAFKA_TOPIC": topic,
        "INGEST_SOURCES_PATH": str(write_sources(folder / "sources.json")),
        "INGEST_SPOOL_DIR": str(disk.folder / "spool"),
        "INGEST_SPOOL_AFTER_MS": "300",
        "INGEST_CHECK_INTERVAL_SECONDS": "0.2",
    }


def _post(server: ApiServer) -> Answer:
    # Chance does not compress: each request takes 40 KB of the disk.
    event = {"event_id": uuid.uuid4().hex, "event_name": "opened", "device_id": "d-1", "x": secrets.token_hex(20_000)}
    return server.post({"events": [event]})


def test_a_full_disk_is_never_a_200(tmp_path: Path, disk: SmallDisk) -> None:
    with Stack(tmp_path / "broker", parts=("kafka",), ports="free") as broker:
        bootstrap = broker.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
        environment = _environment(tmp_path, disk, bootstrap)
        with ApiServer(tmp_path, environment) as server:
            server.await_ready()
            broker.stop_part("kafka")
            answers = [_post(server) for _ in range(150)]
            assert Counter(answer.status for answer in answers).keys() == {200, 503}
            assert answers[0].status == 200
            assert answers[-1].status == 503
            assert answers[-1].json["error"] in {"spool_full", "not_acknowledged"}
            assert server.get("/health/ready").status == 503
            acknowledged = {answer.headers["x-request-id"] for answer in answers if answer.status == 200}
            assert len(acknowledged) * 40_000 > DISK_BYTES / 2

            broker.start_part("kafka")
            deadline = time.monotonic() + 60
            while b"ingest_spool_waiting_records 0.0" not in server.get("/metrics").body:
                assert time.monotonic() < deadline, server.log()
                time.sleep(0.5)
            assert _post(server).status == 200
            stored = {
                record.headers["request_id"] for record in read_topic(bootstrap, environment["INGEST_KAFKA_TOPIC"])
            }
            assert acknowledged - stored == set()
