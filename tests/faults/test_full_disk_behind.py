"""The disk behind Kafka or the lake is full for a while: nothing acknowledged is missing afterwards, nothing twice."""

from __future__ import annotations

import secrets
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from include.errors import TransientError
from local.stack import Stack
from tests.faults.small_disk import SmallDisk
from tests.integration.ingest_server import ApiServer, write_sources
from tests.integration.pipeline import Pipeline, event, pipeline, request
from tests.quiet_imports import import_great_expectations

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PARTS = ("kafka", "azurite", "snowflake")
ONE_BROKER = TopicSettings(partitions=1, replication_factor=1, min_insync_replicas=1)
DISK_BYTES = 12 * 1024 * 1024
GROWN_BYTES = 40 * DISK_BYTES
_EVENTS = 60
_ENOUGH = 200


class Behind:
    """The stack whose part `part` is on a small disk, and the pipeline on it."""

    def __init__(self, stack: Stack, disk: SmallDisk, pipe: Pipeline) -> None:
        self.stack, self.disk, self.pipe = stack, disk, pipe


@pytest.fixture
def behind(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Behind]:
    import_great_expectations()
    with ExitStack() as until:
        disk = until.enter_context(SmallDisk(tmp_path / "state" / request.param, DISK_BYTES))
        stack = until.enter_context(Stack(tmp_path / "state", parts=PARTS, ports="free"))
        name, servers = f"test-{uuid.uuid4().hex[:12]}", stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
        topic_spec.apply(AdminClient({"bootstrap.servers": servers}), topic_spec.TopicSpec.of(name, ONE_BROKER))
        pipe = until.enter_context(pipeline(stack.endpoints, stack.endpoints, stack.endpoints, name))
        pipe.known = (*pipe.known, "test-app")
        yield Behind(stack, disk, pipe)


def big_event(event_id: str) -> dict[str, object]:
    # Chance does not compress, neither in Kafka nor in Parquet.
    return event(event_id, event_properties={"noise": secrets.token_hex(15_000)})


@pytest.mark.parametrize("behind", ["azurite"], indirect=True)
def test_a_full_lake_stops_staging_until_it_has_room(behind: Behind) -> None:
    pipe, ids, error = behind.pipe, [], None
    for number in range(_ENOUGH):
        ids += [f"e-{number}-{one}" for one in range(_EVENTS)]
        pipe.produce(*(request(big_event(one)) for one in ids[-_EVENTS:]))
        interval = pipe.now()
        try:
            pipe.stage(interval)
            pipe.load()
        except TransientError as caught:
            error = caught
            break
    assert error is not None, "the disk was never full"
    assert "lake" in str(error).lower(), error
    behind.disk.grow(GROWN_BYTES)
    pipe.stage(interval)  # the run that failed, again, as Airflow does
    pipe.load()
    assert pipe.event_ids() == sorted(ids)


@pytest.mark.parametrize("behind", ["kafka"], indirect=True)
def test_a_broker_without_room_is_a_spool_until_it_has_some(behind: Behind, tmp_path: Path) -> None:
    pipe, answers, acknowledged = behind.pipe, Counter[int](), list[str]()
    environment = {
        "TOPIC_PARTITIONS": "1",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": str(pipe.kafka["bootstrap.servers"]),
        "INGEST_KAFKA_TOPIC": pipe.topic,
        "INGEST_SOURCES_PATH": str(write_sources(tmp_path / "sources.json")),
        "INGEST_SPOOL_DIR": str(tmp_path / "spool"),
        "INGEST_SPOOL_AFTER_MS": "500",
        "INGEST_CHECK_INTERVAL_SECONDS": "0.5",
    }
    with ApiServer(tmp_path, environment) as server:
        server.await_ready()
        while b"ingest_spooled_records_total 0.0" in server.get("/metrics").body:
            ids = [uuid.uuid4().hex for _ in range(_EVENTS)]
            status = server.post({"events": [big_event(one) for one in ids]}).status
            answers[status] += 1
            acknowledged += ids if status == 200 else []
            assert answers.total() < _ENOUGH, "the disk was never full"
        assert answers.keys() == {200}
        behind.disk.grow(GROWN_BYTES)
        behind.stack.kill("kafka")
        behind.stack.start_part("kafka")
        deadline = time.monotonic() + 60
        while b"ingest_spool_waiting_records 0.0" not in server.get("/metrics").body:
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.5)
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == sorted(acknowledged)
