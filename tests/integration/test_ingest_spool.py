"""The spool of a real API beside a broker that is frozen, killed or away: every 200 is in the topic in the end."""

from __future__ import annotations

import re
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from local.stack import Stack
from tests.integration.ingest_server import Answer, ApiServer, read_topic, write_sources

ONE_BROKER = TopicSettings(partitions=1, replication_factor=1, min_insync_replicas=1)
SPOOL_AFTER_MS = 700


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker that these tests may freeze and kill."""
    with Stack(tmp_path_factory.mktemp("broker"), parts=("kafka",), ports="free") as stack:
        yield stack


@pytest.fixture
def topic(broker: Stack) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": broker.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]})
    topic_spec.apply(admin, topic_spec.TopicSpec.of(name, ONE_BROKER))
    yield name
    broker.resume("kafka")
    if not broker.is_ready():
        broker.start_part("kafka")


@pytest.fixture
def environment(tmp_path: Path, broker: Stack, topic: str) -> Mapping[str, str]:
    return {
        "TOPIC_PARTITIONS": "1",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": broker.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
        "INGEST_KAFKA_TOPIC": topic,
        "INGEST_SOURCES_PATH": str(write_sources(tmp_path / "sources.json")),
        "INGEST_SPOOL_DIR": str(tmp_path / "spool"),
        "INGEST_SPOOL_AFTER_MS": str(SPOOL_AFTER_MS),
        "INGEST_CHECK_INTERVAL_SECONDS": "0.2",
    }


class Client:
    """Posts, and remembers which request was answered 200."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.acknowledged: set[str] = set()

    def post(self, count: int = 1) -> list[Answer]:
        answers: list[Answer] = []
        threads = [threading.Thread(target=lambda: answers.append(self._one())) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.acknowledged |= {answer.headers["x-request-id"] for answer in answers if answer.status == 200}
        return answers

    def _one(self) -> Answer:
        event = {"event_id": uuid.uuid4().hex, "event_name": "opened", "device_id": "d-1"}
        return self.server.post({"events": [event]})

    def waiting(self) -> int:
        return metric(self.server, "ingest_spool_waiting_records")

    def spooled(self) -> int:
        return metric(self.server, "ingest_spooled_records_total")

    def await_drained(self) -> None:
        deadline = time.monotonic() + 30
        while self.waiting():
            assert time.monotonic() < deadline, self.server.log()
            time.sleep(0.1)


def metric(server: ApiServer, name: str) -> int:
    found = re.search(rf"^{name} (\S+)$", server.get("/metrics").body.decode(), re.MULTILINE)
    assert found, name
    return int(float(found[1]))


def stored(broker: Stack, topic: str) -> Counter[str]:
    records = read_topic(broker.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"], topic)
    return Counter(record.headers["request_id"] for record in records)


def files(environment: Mapping[str, str]) -> list[Path]:
    return [path for path in Path(environment["INGEST_SPOOL_DIR"]).rglob("*.spool") if path.stat().st_size]


def test_a_frozen_broker_costs_nobody_an_event(
    tmp_path: Path, environment: Mapping[str, str], broker: Stack, topic: str
) -> None:
    with ApiServer(tmp_path, environment) as server:
        server.await_ready()
        client = Client(server)
        client.post(5)
        client.await_drained()
        before = client.spooled()
        broker.pause("kafka")
        began = time.monotonic()
        assert {answer.status for answer in client.post(10)} == {200}
        assert SPOOL_AFTER_MS / 1000 <= time.monotonic() - began < SPOOL_AFTER_MS / 1000 + 2
        unknown = set(client.acknowledged)
        began = time.monotonic()
        assert {answer.status for _ in range(20) for answer in client.post(5)} == {200}
        assert time.monotonic() - began < 10, "they do not wait for Kafka any more"
        assert client.waiting() == 110
        time.sleep(4)
        server.await_ready()
        assert "records go to the spool" in server.get("/health/ready").json["warnings"]
        broker.resume("kafka")
        client.await_drained()
        assert {answer.status for answer in client.post(5)} == {200}
        assert client.spooled() - before == 110
        assert server.get("/health/ready").json["warnings"] == []
        found = stored(broker, topic)
        assert set(found) == client.acknowledged
        twice = {request for request, count in found.items() if count > 1}
        assert len(twice - unknown) <= 3, "only probes that Kafka did not answer may be there twice"
        assert server.stop() == 0
        assert '"level":"error"' not in server.log()
    assert list(Path(environment["INGEST_SPOOL_DIR"]).iterdir()) == []


def test_a_killed_broker_and_a_killed_api_lose_nothing(
    tmp_path: Path, environment: Mapping[str, str], broker: Stack, topic: str
) -> None:
    with ApiServer(tmp_path, environment) as server:
        server.await_ready()
        client = Client(server)
        client.post(3)
        broker.stop_part("kafka")
        client.post(3)
        client.post(20)
        main = psutil.Process(server.process.pid)
        for process in [*main.children(recursive=True), main]:
            process.kill()
        server.process.wait(10)
    assert len(client.acknowledged) == 26
    assert files(environment)
    with ApiServer(tmp_path, environment) as second:
        client.server = second
        client.post(2)
        assert len(client.acknowledged) == 28, second.log()
        broker.start_part("kafka")
        client.await_drained()
        assert "spool_adopted" in second.log()
        found = stored(broker, topic)
        assert set(found) == client.acknowledged
        assert second.stop() == 0
    assert list(Path(environment["INGEST_SPOOL_DIR"]).iterdir()) == []


def test_sigterm_in_an_outage_answers_200_and_ends_in_time(
    tmp_path: Path, environment: Mapping[str, str], broker: Stack, topic: str
) -> None:
    with ApiServer(tmp_path, {**environment, "INGEST_SPOOL_AFTER_MS": "2000"}) as server:
        server.await_ready()
        broker.pause("kafka")
        client = Client(server)
        thread = threading.Thread(target=client.post, args=(5,))
        thread.start()
        time.sleep(0.7)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert time.monotonic() - began < 10
        thread.join(10)
        assert len(client.acknowledged) == 5
    assert files(environment)
    broker.resume("kafka")
    with ApiServer(tmp_path, environment) as second:
        second.await_ready()
        time.sleep(0.5)
        Client(second).await_drained()
    assert set(stored(broker, topic)) == client.acknowledged


def test_it_starts_and_spools_with_the_broker_away_and_a_corrupt_spool(
    tmp_path: Path, environment: Mapping[str, str], broker: Stack, topic: str
) -> None:
    left = Path(environment["INGEST_SPOOL_DIR"]) / "left"
    left.mkdir(parents=True)
    (left / "1.spool").write_bytes(b"nothing that a spool has")
    broker.stop_part("kafka")
    with ApiServer(tmp_path, environment) as server:
        client = Client(server)
        assert {answer.status for answer in client.post(5)} == {200}
        server.await_ready()
        assert "spool_corrupt" in server.log()
        broker.start_part("kafka")
        client.await_drained()
        time.sleep(6)
        assert metric(server, "ingest_spool_set_aside_files") == 1
        assert any("set aside" in warning for warning in server.get("/health/ready").json["warnings"])
        assert set(stored(broker, topic)) == client.acknowledged


def test_a_full_or_broken_spool_is_an_honest_503(
    tmp_path: Path, environment: Mapping[str, str], broker: Stack, topic: str
) -> None:
    (tmp_path / "file").write_text("")
    broker.pause("kafka")
    with ApiServer(tmp_path, {**environment, "INGEST_SPOOL_DIR": str(tmp_path / "file" / "below")}) as server:
        (answer,) = Client(server).post()
        assert (answer.status, answer.json["error"]) == (503, "spool_full")
        time.sleep(4)
        ready = server.get("/health/ready")
        assert ready.status == 503
        assert any("cannot be written" in reason for reason in ready.json["reasons"])
    with ApiServer(tmp_path, {**environment, "INGEST_SPOOL_MAX_BYTES": str(1024 * 1024)}) as server:
        client = Client(server)
        body = b'{"events":[{"event_name":"a","device_id":"d","x":"%s"}]}' % (b"x" * 300_000)
        statuses = [server.post(body).status for _ in range(5)]
        assert statuses == [200, 200, 200, 503, 503]
        broker.resume("kafka")
        client.await_drained()
        assert server.post(body).status == 200
    assert sum(stored(broker, topic).values()) >= 4
