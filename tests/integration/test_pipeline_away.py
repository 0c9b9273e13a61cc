"""A part is away during a run: a clear TransientError, and the next run carries everything.

Azurite is stopped and not killed: killed, it forgets what it was told in the last seconds, as no storage account does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import snowflake.connector
from confluent_kafka import KafkaError, KafkaException
from snowflake.connector.errors import OperationalError

from include import blobs, loading, topic
from include import warehouse as warehouse_module
from include.contract import kafka_errors
from include.errors import TransientError
from include.warehouse import Warehouse, opened
from local.stack import Stack
from tests.integration.pipeline import Pipeline, event, request

pytestmark = pytest.mark.usefixtures("gx")
CANCELLING = "ignore::pytest.PytestUnhandledThreadExceptionWarning"
"""The connector cancels a query that took too long from a thread of its own, which fails when nobody answers."""


def retried(step: Callable[[], Any]) -> Any:
    """Run a step as Airflow does: again after a TransientError, a few times."""
    for _ in range(10):
        try:
            return step()
        except TransientError:
            time.sleep(1)
    return step()


def fill(pipe: Pipeline, prefix: str = "e") -> list[str]:
    good = [f"{prefix}-{number}" for number in range(4)]
    pipe.produce(request(*map(event, good[:2])), request(*map(event, good[2:]), partition=1))
    return good


@pytest.fixture(autouse=True)
def whole(fragile: Stack) -> Iterator[None]:
    """Bring back what a test left dead, so that the next one fails for its own reasons only."""
    yield
    for part in fragile.status():
        if part.state == "stopped":
            fragile.start_part(part.name)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic, "CALL_TIMEOUT_S", 1.0)
    monkeypatch.setattr(topic, "RETRY_TIMEOUT_S", 1.0)
    monkeypatch.setattr(topic, "STALL_TIMEOUT_S", 3.0)


def test_kafka_away_fails_the_run_and_the_next_one_carries_everything(
    own: Pipeline, fragile: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = fill(own)
    work = own.plan()
    more = fill(own, "more")
    interval = own.now()
    fragile.kill("kafka")
    with pytest.raises(TransientError, match=r"reading .*'s offsets"):
        own.plan(interval)
    assert len(own.blobs("plans/")) == 1
    with pytest.raises(TransientError, match=own.topic):
        own.drain(work)
    fragile.start_part("kafka")
    retried(own.stage)
    retried(lambda: own.drain(work))
    own.seal(work)
    own.load()
    assert own.event_ids() == sorted(good + more)


def test_kafka_dying_in_the_middle_of_a_range_leaves_nothing_visible(
    own: Pipeline, fragile: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = fill(own)
    work = own.plan()
    original = topic._require_range
    with monkeypatch.context() as patch:

        def last_sign_of_life(*args: Any) -> None:
            original(*args)
            fragile.kill("kafka")

        patch.setattr(topic, "_require_range", last_sign_of_life)
        with pytest.raises(TransientError):
            own.drain(work)
    assert not own.blobs("events/")
    assert not own.blobs("parts/")
    fragile.start_part("kafka")
    retried(lambda: own.drain(work))
    own.seal(work)
    own.load()
    assert own.event_ids() == sorted(good)


def test_azurite_away_fails_every_step_and_the_next_run_carries_everything(own: Pipeline, fragile: Stack) -> None:
    good = fill(own)
    interval = own.now()
    work = own.plan(interval)
    fragile.stop_part("azurite")
    steps: list[Callable[[], Any]] = [
        lambda: own.plan(interval),
        lambda: own.drain(work),
        lambda: own.seal(work),
        own.load,
    ]
    for step in steps:
        with pytest.raises(TransientError, match="the lake failed at"):
            step()
    fragile.start_part("azurite")
    own.drain(work)
    own.seal(work)
    fragile.stop_part("azurite")
    with pytest.raises(TransientError, match="the lake failed at"):
        own.load()
    fragile.start_part("azurite")
    assert own.load()["rows_inserted"] == len(good)
    assert own.event_ids() == sorted(good)


def test_azurite_dying_before_a_file_is_committed_is_transient(
    own: Pipeline, fragile: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = fill(own)
    work = own.plan()
    original = blobs._BlockSink.finish
    with monkeypatch.context() as patch:

        def finish(sink: Any) -> str:
            fragile.stop_part("azurite")
            return original(sink)

        patch.setattr(blobs._BlockSink, "finish", finish)
        with pytest.raises(TransientError, match="the lake failed at"):
            own.drain(work)
    fragile.start_part("azurite")
    own.drain(work)
    own.seal(work)
    own.load()
    assert own.event_ids() == sorted(good)


@pytest.mark.slow  # the stand-in's own Azure client is patient
@pytest.mark.filterwarnings(CANCELLING)
def test_the_stage_cannot_be_read_during_a_copy(own: Pipeline, fragile: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    good = fill(own)
    own.stage()
    original = Warehouse.run

    def run(self: Warehouse, sql: str, values: Any = None, doing: str = "a query") -> Any:
        if doing.startswith("COPY of"):
            fragile.stop_part("azurite")
        return original(self, sql, values, doing)

    with own.warehouse(network_timeout=3) as connected, monkeypatch.context() as patch:
        patch.setattr(Warehouse, "run", run)
        with pytest.raises(TransientError, match="COPY of"):
            loading.load_sealed(own.lake, connected, own.settings)
    fragile.start_part("azurite")
    assert own.load()["rows_inserted"] == len(good)


def test_snowflake_away_fails_the_run_and_the_next_one_loads_everything(own: Pipeline, fragile: Stack) -> None:
    good = fill(own)
    own.stage()
    fragile.kill("snowflake")
    with pytest.raises(TransientError, match="connecting"):
        opened(lambda: snowflake.connector.connect(**{**own.connect, "login_timeout": 2}))
    fragile.start_part("snowflake")
    assert own.load()["rows_inserted"] == len(good)
    assert own.event_ids() == sorted(good)


@pytest.mark.filterwarnings(CANCELLING)
@pytest.mark.parametrize("at", [pytest.param("MERGE into EVENTS", marks=pytest.mark.slow), "COMMIT"])
def test_snowflake_dying_during_a_load_is_transient_and_nothing_is_half_done(
    own: Pipeline, fragile: Stack, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    good = fill(own)
    own.stage()
    original = Warehouse.run

    def run(self: Warehouse, sql: str, values: Any = None, doing: str = "a query") -> Any:
        if doing.startswith(at):
            fragile.kill("snowflake")
        return original(self, sql, values, doing)

    with own.warehouse(network_timeout=2) as connected, monkeypatch.context() as patch:
        patch.setattr(Warehouse, "run", run)
        with pytest.raises(TransientError, match=at):
            loading.load_sealed(own.lake, connected, own.settings)
        connected.connection._rest = None  # a session that is gone cannot be closed in good order
        fragile.start_part("snowflake")
    assert own.event_ids() == []
    assert own.load()["rows_inserted"] == len(good)
    assert own.event_ids() == sorted(good)


def test_a_commit_whose_answer_is_lost_is_settled_by_the_ledger(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = fill(pipe)
    pipe.stage()
    original = Warehouse.run

    def run(self: Warehouse, sql: str, values: Any = None, doing: str = "a query") -> Any:
        done = original(self, sql, values, doing)
        if doing == "COMMIT":
            raise warehouse_module.warehouse_error(OperationalError("connection lost", errno=250001), doing)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "run", run)
        with pytest.raises(TransientError, match="COMMIT"):
            pipe.load()
    assert pipe.event_ids() == sorted(good), "it was committed all the same"
    before = pipe.tables()
    assert pipe.load()["batches"] == 0
    assert pipe.tables() == before


def test_errors_of_a_restarting_broker_are_retried(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic, "CALL_TIMEOUT_S", 10.0)
    monkeypatch.setattr(topic, "RETRY_TIMEOUT_S", 20.0)
    fill(pipe)
    answers = iter([KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._UNKNOWN_PARTITION])
    original = topic._observe

    def observe(*args: Any) -> Any:
        code = next(answers, None)
        if code is not None:
            raise KafkaException(KafkaError(code))
        return original(*args)

    monkeypatch.setattr(topic, "_observe", observe)
    assert pipe.plan()[0]["sequence"] == 1
    assert kafka_errors.translate(KafkaError(KafkaError._UNKNOWN_PARTITION), "x").__class__ is TransientError
