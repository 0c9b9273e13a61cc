"""The ingest API when something is wrong: never 200 without Kafka's acknowledgement, and an end in good order."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from include.errors import PipelineError
from local.paths import API_PYTHON, ROOT
from local.stack import Stack
from tests.integration.ingest_server import KEY, Answer, ApiServer, read_topic, write_sources

EVENT = {"event_name": "opened", "device_id": "d-1"}
ONE_BROKER = TopicSettings(partitions=1, replication_factor=1, min_insync_replicas=1)
SHORT_MS = 1500

Start = Callable[..., ApiServer]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker that these tests may freeze and kill."""
    with Stack(tmp_path_factory.mktemp("broker"), parts=("kafka",), ports="free") as stack:
        yield stack


@pytest.fixture(scope="module")
def bootstrap(broker: Stack) -> str:
    return broker.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]


@pytest.fixture
def topic_name(bootstrap: str) -> str:
    spec = topic_spec.TopicSpec.of(f"test-{uuid.uuid4().hex[:12]}", ONE_BROKER)

    def applied() -> bool:
        # The test before may have frozen the broker: its controller takes a while to trust it again.
        try:
            topic_spec.apply(AdminClient({"bootstrap.servers": bootstrap}), spec)
        except PipelineError:
            return False
        return True

    _await(applied)
    return spec.name


@pytest.fixture
def environment(tmp_path: Path, bootstrap: str, topic_name: str) -> Mapping[str, str]:
    return {
        "TOPIC_PARTITIONS": "1",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "INGEST_KAFKA_TOPIC": topic_name,
        "INGEST_SOURCES_PATH": str(write_sources(tmp_path / "sources.json")),
        "INGEST_ACK_TIMEOUT_MS": str(SHORT_MS),
        "INGEST_CHECK_INTERVAL_SECONDS": "0.2",
    }


@pytest.fixture
def frozen(broker: Stack) -> Iterator[Stack]:
    """The broker, which a test freezes by `pause`; it goes on afterwards."""
    try:
        yield broker
    finally:
        broker.resume("kafka")


def _post_in_background(server: ApiServer) -> tuple[threading.Thread, list[Answer]]:
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(server.post({"events": [EVENT]})))
    thread.start()
    return thread, answers


def _await(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_a_frozen_broker_means_503_and_not_ready_until_it_goes_on(
    tmp_path: Path, environment: Mapping[str, str], frozen: Stack, bootstrap: str, topic_name: str
) -> None:
    with ApiServer(tmp_path, environment) as server:
        server.await_ready()
        assert server.post({"events": [EVENT]}).status == 200
        frozen.pause("kafka")
        began = time.monotonic()
        answer = server.post({"events": [EVENT]})
        waited_ms = (time.monotonic() - began) * 1000
        assert answer.status == 503
        assert answer.json["error"] == "not_acknowledged"
        assert int(answer.headers["retry-after"]) >= 1
        assert SHORT_MS <= waited_ms < SHORT_MS + 1000
        ready = server.get("/health/ready")
        assert ready.status == 503
        assert any("unacknowledged" in reason for reason in ready.json["reasons"])
        assert server.get("/health/live").status == 200
        _await(lambda: "does not answer" in " ".join(server.get("/health/ready").json["reasons"]))

        frozen.resume("kafka")
        server.await_ready()
        again = server.post({"events": [EVENT]})
        assert again.status == 200
    ids = [record.headers["request_id"] for record in read_topic(bootstrap, topic_name)]
    assert again.headers["x-request-id"] in ids


def test_what_is_in_progress_at_the_end_is_answered(
    tmp_path: Path, environment: Mapping[str, str], frozen: Stack, bootstrap: str, topic_name: str
) -> None:
    with ApiServer(tmp_path, {**environment, "INGEST_ACK_TIMEOUT_MS": "6000"}) as server:
        server.await_ready()
        frozen.pause("kafka")
        thread, answers = _post_in_background(server)
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(OSError, match="refused"):
            server.get("/health/live")
        frozen.resume("kafka")
        thread.join(20)
        assert [answer.status for answer in answers] == [200]
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10
    (record,) = read_topic(bootstrap, topic_name)
    assert record.headers["request_id"] == answers[0].headers["x-request-id"]


def test_the_end_takes_no_longer_than_ten_seconds_without_a_broker(
    tmp_path: Path, environment: Mapping[str, str], frozen: Stack
) -> None:
    with ApiServer(tmp_path, {**environment, "INGEST_ACK_TIMEOUT_MS": "6000"}) as server:
        server.await_ready()
        frozen.pause("kafka")
        thread, answers = _post_in_background(server)
        time.sleep(0.5)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10
        thread.join(10)
        assert [answer.status for answer in answers] == [503]


def test_the_api_starts_without_a_broker_and_serves_once_it_is_there(
    tmp_path: Path, environment: Mapping[str, str], broker: Stack
) -> None:
    broker.stop_part("kafka")
    try:
        with ApiServer(tmp_path, environment) as server:
            assert server.get("/health/live").status == 200
            _await(lambda: "does not answer" in " ".join(server.get("/health/ready").json["reasons"]))
            assert server.post({"events": [EVENT]}).status == 503
            assert server.log().count("\n") < 60, "an outage must not flood the log"
            broker.start_part("kafka")
            server.await_ready()
            # A broker that has just started may take longer than this short wait to hand out a producer id.
            _await(lambda: server.post({"events": [EVENT]}).status == 200)
    finally:
        if broker.status() and not broker.is_ready():
            broker.start_part("kafka")


def test_a_topic_that_breaks_the_promise_is_named(
    tmp_path: Path, environment: Mapping[str, str], bootstrap: str, topic_name: str
) -> None:
    demanding = {**environment, "TOPIC_REPLICATION_FACTOR": "3", "TOPIC_MIN_INSYNC_REPLICAS": "2"}
    with ApiServer(tmp_path, demanding) as server:
        _await(lambda: "copies" in server.get("/health/ready").body.decode())
        (reasons,) = server.get("/health/ready").json["reasons"]
        assert f"topic {topic_name} has 1 copies of each record, needs 3" in reasons
        assert "min.insync.replicas=1, needs at least 2" in reasons
    absent = {**environment, "INGEST_KAFKA_TOPIC": "absent"}
    with ApiServer(tmp_path, absent) as server:
        _await(lambda: "topic absent does not exist" in server.get("/health/ready").body.decode())
        assert server.post({"events": [EVENT]}).status == 503


def test_sources_are_reloaded_while_it_runs(tmp_path: Path, environment: Mapping[str, str]) -> None:
    path = Path(environment["INGEST_SOURCES_PATH"])
    content = path.read_text()
    path.unlink()
    with ApiServer(tmp_path, environment) as server:
        answer = server.post({"events": [EVENT]})
        assert (answer.status, answer.json["error"]) == (503, "no_sources")
        assert any("cannot be read" in reason for reason in server.get("/health/ready").json["reasons"])
        path.write_text(content)
        server.await_ready()
        assert server.post({"events": [EVENT]}).status == 200
        entries = json.loads(content)["sources"]
        path.write_text(json.dumps({"sources": [{"id": "bad"}, *entries]}))
        _await(lambda: bool(server.get("/health/ready").json["warnings"]))
        assert server.get("/health/ready").status == 200
        assert server.post({"events": [EVENT]}).status == 200
        path.write_text(json.dumps({"sources": entries[1:]}))
        _await(lambda: server.post({"events": [EVENT]}).status == 401)
        assert KEY not in server.log()


def test_a_taken_port_is_an_error_not_a_second_server(tmp_path: Path, environment: Mapping[str, str]) -> None:
    with ApiServer(tmp_path, environment) as server:
        ended = subprocess.run(
            [API_PYTHON, "-m", "ingest_api"],
            cwd=ROOT,
            env={**environment, "INGEST_PORT": str(server.port), "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ended.returncode == 2
        assert f"cannot listen on 127.0.0.1:{server.port} (Address already in use)" in ended.stderr
        assert server.get("/health/live").status == 200


def test_wrong_settings_end_the_start_with_one_sentence(tmp_path: Path, environment: Mapping[str, str]) -> None:
    ended = subprocess.run(
        [API_PYTHON, "-m", "ingest_api"],
        cwd=ROOT,
        env={"INGEST_PORT": "many", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    problem = "wrong settings: INGEST_PORT: expected int, got str (Port to listen on); see docs/runbooks/settings.md"
    assert ended.stderr.strip() == problem
    listed = subprocess.run(
        [API_PYTHON, "-m", "ingest_api", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert "INGEST_ACK_TIMEOUT_MS=6000" in listed.stdout
