"""Three brokers that die and freeze under load: each acknowledged event in EVENTS once, nothing refused."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from include.errors import TransientError
from local.stack import Stack
from tests.faults.cluster import Cluster
from tests.integration.ingest_clients import Crowd
from tests.integration.ingest_server import Answer, ApiServer, read_topic, write_sources
from tests.integration.pipeline import Pipeline, event, pipeline
from tests.quiet_imports import import_great_expectations

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
THREE_COPIES = TopicSettings(partitions=4, replication_factor=3, min_insync_replicas=2)
STRIKES = 8


class Ledger:
    """Posts single events, and remembers the ids of those that were answered 200."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []

    def post(self, server: ApiServer) -> Answer:
        event_id = uuid.uuid4().hex
        time.sleep(0.05)  # the two cores are for the brokers
        answer = server.post({"events": [event(event_id, device_id=event_id[:4])]})
        if answer.status == 200:
            self.acknowledged.append(event_id)
        return answer


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "kafka") as made:
        yield made


@pytest.fixture
def pipe(cluster: Cluster, azurite: Stack, snowflake: Stack) -> Iterator[Pipeline]:
    import_great_expectations()
    topic = f"test-{uuid.uuid4().hex[:12]}"
    topic_spec.apply(
        AdminClient({"bootstrap.servers": cluster.bootstrap}), topic_spec.TopicSpec.of(topic, THREE_COPIES)
    )
    servers = {"INGEST_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap}
    with pipeline(servers, azurite.endpoints, snowflake.endpoints, topic) as made:
        made.known = ("test-app",)
        yield made


def environment(folder: Path, pipe: Pipeline) -> Mapping[str, str]:
    return {
        "TOPIC_PARTITIONS": "4",
        "TOPIC_REPLICATION_FACTOR": "3",
        "TOPIC_MIN_INSYNC_REPLICAS": "2",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": str(pipe.kafka["bootstrap.servers"]),
        "INGEST_KAFKA_TOPIC": pipe.topic,
        "INGEST_SOURCES_PATH": str(write_sources(folder / "sources.json")),
        "INGEST_SPOOL_DIR": str(folder / "spool"),
        "INGEST_SPOOL_AFTER_MS": "1500",
        "INGEST_CHECK_INTERVAL_SECONDS": "0.5",
    }


def staged(pipe: Pipeline, tries: int = 60) -> None:
    """Stage and load what is there, again when a part is away, as Airflow does."""
    for number in range(tries):
        try:
            pipe.stage()
            pipe.load()
        except TransientError:
            if number == tries - 1:
                raise
            time.sleep(1)
        else:
            return


def strike(cluster: Cluster, topic: str, chance: random.Random) -> str:
    """Take the leader of some partition away, by death or by frost, until others lead; then let it come back."""
    node = cluster.leaders(topic)[chance.randrange(THREE_COPIES.partitions)]
    kind = chance.choice(["killed", "frozen"])
    if kind == "killed":
        cluster.kill(node)
        cluster.await_leaders(topic, [node])
        cluster.launch(node)
    else:
        cluster.freeze(node)
        cluster.await_leaders(topic, [node])
        cluster.thaw(node)
    cluster.await_in_sync(topic)
    return kind


def test_leaders_die_and_freeze_under_load_and_nothing_is_lost(
    tmp_path: Path, cluster: Cluster, pipe: Pipeline
) -> None:
    ledger, chance = Ledger(), random.Random(20261123)  # noqa: S311 - a repeatable run
    with ApiServer(tmp_path, environment(tmp_path, pipe)) as server:
        server.await_ready()
        with Crowd(server, {"ledger": ledger.post}, 8) as crowd:
            kinds = set()
            for _ in range(STRIKES):
                kinds.add(strike(cluster, pipe.topic, chance))
                staged(pipe)
        assert kinds == {"killed", "frozen"}
        assert_all_there(server, crowd, ledger, pipe)


def test_fewer_copies_than_promised_are_no_acknowledgement_but_a_spool(
    tmp_path: Path, cluster: Cluster, pipe: Pipeline
) -> None:
    ledger = Ledger()
    with ApiServer(tmp_path, environment(tmp_path, pipe)) as server:
        server.await_ready()
        with Crowd(server, {"ledger": ledger.post}, 8) as crowd:
            time.sleep(1)
            for node in (1, 2):
                cluster.kill(node)
            time.sleep(6)
            assert list((tmp_path / "spool").rglob("*.spool"))
            for node in (1, 2):
                cluster.launch(node)
            cluster.await_in_sync(pipe.topic)
        assert_all_there(server, crowd, ledger, pipe)


def assert_all_there(server: ApiServer, crowd: Crowd, ledger: Ledger, pipe: Pipeline) -> None:
    """Every answer is a 200, and each event of one is in EVENTS once; a second copy in Kafka is allowed."""
    assert crowd.failures == []
    assert {answer.status for _, answer, _ in crowd.answers} == {200}
    deadline = time.monotonic() + 60
    while b"ingest_spool_waiting_records 0.0" not in server.get("/metrics").body:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.5)
    staged(pipe)
    assert len(ledger.acknowledged) == len(set(ledger.acknowledged)) > 200
    assert pipe.failed("REASONS") == []
    assert pipe.event_ids() == sorted(ledger.acknowledged)
    stored = read_topic(str(pipe.kafka["bootstrap.servers"]), pipe.topic)
    assert len(stored) >= len(ledger.acknowledged)
