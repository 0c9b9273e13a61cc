"""Several worker processes behind one port, and the end of a server that is busy."""

from __future__ import annotations

import re
import signal
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from local.stack import Stack
from tests.integration.ingest_clients import DIALECTS, Crowd, own
from tests.integration.ingest_server import ApiServer, read_topic, write_sources

ONE_BROKER = TopicSettings(partitions=1, replication_factor=1, min_insync_replicas=1)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker that these tests may freeze."""
    with Stack(tmp_path_factory.mktemp("broker"), parts=("kafka",), ports="free") as stack:
        yield stack


@pytest.fixture
def topic(broker: Stack) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": broker.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]})
    topic_spec.apply(admin, topic_spec.TopicSpec.of(name, ONE_BROKER))
    yield name
    broker.resume("kafka")


@pytest.fixture
def environment(tmp_path: Path, broker: Stack, topic: str) -> Mapping[str, str]:
    return {
        "TOPIC_PARTITIONS": "1",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": broker.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
        "INGEST_KAFKA_TOPIC": topic,
        "INGEST_SOURCES_PATH": str(write_sources(tmp_path / "sources.json")),
        "INGEST_SPOOL_DIR": str(tmp_path / "spool"),
        "INGEST_SPOOL_AFTER_MS": "500",
        "INGEST_CHECK_INTERVAL_SECONDS": "0.2",
    }


def _metric(server: ApiServer, name: str) -> int:
    found = re.search(rf"^{re.escape(name)} (\S+)$", server.get("/metrics").body.decode(), re.MULTILINE)
    assert found, name
    return int(float(found[1]))


def _await(server: ApiServer, name: str, wanted: int) -> None:
    deadline = time.monotonic() + 20
    while (found := _metric(server, name)) != wanted:
        assert time.monotonic() < deadline, f"{name} is {found}, not {wanted}"
        time.sleep(0.2)


def _busy_workers(server: ApiServer) -> list[float]:
    return [sum(one.cpu_times()[:2]) for one in psutil.Process(server.process.pid).children()]


def _ids(environment: Mapping[str, str], topic: str) -> set[str]:
    records = read_topic(environment["INGEST_KAFKA_BOOTSTRAP_SERVERS"], topic)
    return {record.headers["request_id"] for record in records}


def _await_ids(environment: Mapping[str, str], topic: str, wanted: set[str]) -> set[str]:
    deadline = time.monotonic() + 20
    while not wanted <= (there := _ids(environment, topic)):
        assert time.monotonic() < deadline, f"acknowledged and not in Kafka: {sorted(wanted - there)}"
        time.sleep(0.2)
    return there


def test_two_workers_share_port_spool_and_metrics(
    tmp_path: Path, environment: Mapping[str, str], broker: Stack, topic: str
) -> None:
    with ApiServer(tmp_path, {**environment, "INGEST_WORKERS": "2"}) as server:
        server.await_ready()
        with Crowd(server, {"own": own}, 8) as crowd:
            time.sleep(1)
            broker.pause("kafka")
            time.sleep(3)
        homes = [path for path in (tmp_path / "spool").iterdir() if path.is_dir()]
        assert len(homes) == 2, "each process spools into a folder of its own"
        assert all(list(path.glob("*.spool")) for path in homes), "both processes have spooled"
        assert crowd.failures == []
        assert {answer.status for _, answer, _ in crowd.answers} == {200}
        # Whichever process is asked answers for both; what the other counted is a second old at most.
        for _ in range(10):
            _await(server, 'ingest_events_total{verdict="accepted"}', 5 * len(crowd.answers))
        spooled = _metric(server, "ingest_spooled_records_total")
        assert 0 < spooled <= len(crowd.answers)
        broker.resume("kafka")
        _await(server, "ingest_spool_waiting_records", 0)
        assert server.stop() == 0
    accepted = {answer.headers["x-request-id"] for _, answer, _ in crowd.answers}
    assert accepted == _ids(environment, topic)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_busy_server_stops_in_time_and_answers_what_it_took(
    tmp_path: Path, environment: Mapping[str, str], broker: Stack, topic: str, workers: str
) -> None:
    with ApiServer(tmp_path, {**environment, "INGEST_WORKERS": workers}) as server:
        server.await_ready()
        with Crowd(server, DIALECTS, 24) as crowd:
            time.sleep(2)
            answered = len(crowd.answers)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0
    assert answered > 50
    assert {answer.status for _, answer, _ in crowd.answers} == {200}
    # Each client ends with a connection that was not taken any more.
    assert [error for error in crowd.failures if not isinstance(error, ConnectionError)] == []
    cut_off = [error for error in crowd.failures if not isinstance(error, ConnectionRefusedError)]
    accepted = {answer.headers["x-request-id"] for _, answer, _ in crowd.answers}
    with ApiServer(tmp_path, environment):  # what a slow moment left in the spool reaches Kafka now
        there = _await_ids(environment, topic, accepted)
    # granian now and then kills a worker that has just ended its work: its client hears nothing and sends again.
    assert len(there - accepted) <= len(cut_off), "what is stored was answered"


def test_a_worker_that_dies_ends_the_server_so_that_it_is_started_again(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    with ApiServer(tmp_path, {**environment, "INGEST_WORKERS": "2"}) as server:
        server.await_ready()
        worker = psutil.Process(server.process.pid).children()[-1]
        worker.kill()
        assert server.process.wait(15) != 0
