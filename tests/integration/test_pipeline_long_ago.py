"""Outages, duplicates after months, wiped load history, and repairs beside live loads: each id once, whatever came."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from confluent_kafka import Producer

from include import loading, plans, publishing, reconcile, settling
from include.destinations.amplitude import Amplitude
from include.errors import TransientError
from include.lake import sealed
from include.migrate import MigrationSettings, migrate
from local.stack import Stack
from tests.integration.pipeline import Interval, Pipeline, event, pipeline, request

pytestmark = pytest.mark.usefixtures("gx")
AMPLITUDE = Amplitude("http://127.0.0.1:9", "key", "secret")
TIMES = {
    "CORE.EVENTS": ("LOADED_AT", "RECEIVED_AT"),
    "CONTROL.LOADS": ("LOADED_AT", "INTERVAL_START", "INTERVAL_END"),
    "PUBLISH.OUTBOX": ("LOADED_AT",),
    "PUBLISH.PUBLICATIONS": ("PUBLISHED_AT",),
    "PUBLISH.AMPLITUDE_OUTBOX": ("PUBLISHED_AT",),
    "PUBLISH.DELIVERIES": ("OFFERED_AT",),
    "PUBLISH.WATERMARKS": ("PUBLISHED_AT",),
}


def offer(pipe: Pipeline) -> int:
    with pipe.warehouse() as warehouse:
        return publishing.offer(warehouse, AMPLITUDE, pipe.settings)


def pass_days(pipe: Pipeline, days: int) -> None:
    """Hold the clock and age what is stored instead: every time that the pipeline itself set moves back."""
    for table, columns in TIMES.items():
        moved = ", ".join(f"{column} = DATEADD(DAY, -{days}, {column})" for column in columns)
        pipe.rows(f"UPDATE {table} SET {moved}")  # noqa: S608


def unexplained(pipe: Pipeline, sequences: Sequence[int]) -> dict[str, int]:
    """Reconcile plans hop by hop, up to the warehouse."""
    manifests = list(sealed(pipe.lake, list(sequences)))
    assert len(manifests) == len(sequences)
    with pipe.warehouse() as warehouse:
        hops = [*reconcile.lake_hops(manifests), *reconcile.warehouse_hops(warehouse, manifests)]
    return {hop.name: hop.unexplained for hop in hops}


def test_duplicates_after_thirty_and_ninety_days_are_found(pipe: Pipeline) -> None:
    born = datetime.now(UTC) - timedelta(days=90)
    phone = [event(f"phone-{number}", occurred_at=born.isoformat()) for number in range(3)]
    bad = event("bad", occurred_at=born.isoformat(), platform="symbian")
    pipe.produce(request(*phone, bad, received_at=born))
    pipe.stage()
    assert (pipe.load()["rows_inserted"], offer(pipe)) == (3, 3)
    for days, partition, sequence in ((30, 2, 2), (60, 0, 3)):
        pass_days(pipe, days)
        now = born + timedelta(days=90 if sequence == 3 else 30)
        new = event(f"new-{sequence}", occurred_at=now.isoformat())
        pipe.produce(request(*phone, bad, new, partition=partition, received_at=now))
        pipe.stage()
        totals = pipe.load()
        assert (totals["rows_staged"], totals["rows_inserted"], totals["failed_inserted"]) == (4, 1, 0)
        assert offer(pipe) == 1, "the vendor is not told again either"
        assert set(unexplained(pipe, [sequence]).values()) == {0}
    ids = ["new-2", "new-3", *(f"phone-{number}" for number in range(3))]
    assert pipe.event_ids() == ids
    assert pipe.failed("EVENT_ID") == [("bad",)]
    shown = [row[0] for row in pipe.rows('SELECT "insert_id" FROM PUBLISH.AMPLITUDE_EVENTS ORDER BY 1')]
    assert shown == [f"phone-app:{event_id}" for event_id in ids]


def test_a_wiped_load_history_neither_loads_twice_nor_skips(
    kafka: Stack, azurite: Stack, snowflake: Stack, topic: str
) -> None:
    with pipeline(kafka.endpoints, azurite.endpoints, snowflake.endpoints, topic) as pipe:
        pipe.produce(request(event("a"), event("b"), event("bad", platform="symbian")))
        pipe.stage()
        pipe.load()
        before = pipe.tables()
        # Load metadata belongs to tables of this schema and goes with it, as it does after 64 days.
        pipe.rows("DROP SCHEMA LANDING")
        with pipe.warehouse() as warehouse:
            url = f"azure://devstoreaccount1.blob.core.windows.net/{pipe.settings.lake_container}/"
            migrate(warehouse, MigrationSettings(lake_url=url, database=str(pipe.connect["database"])))
        assert pipe.load()["batches"] == 0
        assert pipe.tables() == before
        # The other way round: our ledger lost a row, Snowflake's history knows the files. They are loaded, not skipped.
        pipe.rows("DELETE FROM CONTROL.LOADS")
        totals = pipe.load()
        assert (totals["batches"], totals["rows_staged"], totals["rows_inserted"]) == (1, 2, 0)
        assert totals["failed_inserted"] == 0
        pipe.produce(request(event("c")))
        pipe.stage()
        pipe.load()
        assert pipe.event_ids() == ["a", "b", "c"]
        assert pipe.failed("EVENT_ID") == [("bad",)]


def produce_at(pipe: Pipeline, moments: Sequence[datetime]) -> list[str]:
    """Send one request of three events at each moment of a simulated broker's clock; returns the ids."""
    producer = Producer({**pipe.kafka, "enable.idempotence": True})
    ids = []
    for number, moment in enumerate(moments):
        mine = [f"{moment:%H%M%S}-{one}" for one in range(3)]
        made = request(*(event(one, occurred_at=moment.isoformat()) for one in mine), received_at=moment)
        producer.produce(
            pipe.topic, made.value, headers=made.headers, partition=number % 4, timestamp=int(moment.timestamp() * 1000)
        )
        ids += mine
    assert producer.flush(30) == 0
    return ids


def test_three_hours_without_a_scheduler_and_a_minute_that_failed_are_carried_and_healed(
    pipe: Pipeline, new_topic: Callable[..., str]
) -> None:
    clocked = pipe.with_settings(
        kafka_topic=new_topic(message_timestamp_type="CreateTime"), plan_max_envelopes=40, drain_task_envelopes=1
    )
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)
    minutes = [(one, one + timedelta(minutes=1)) for one in (start + timedelta(minutes=n) for n in range(185))]
    ids = produce_at(clocked, [begin + timedelta(seconds=20 * third) for begin, _ in minutes for third in range(3)])

    clocked.stage(minutes[0])
    clocked.load()
    failed = clocked.plan(minutes[1])
    clocked.drain(failed[:1])  # its other tasks failed for good, and so nothing sealed it
    assert len(failed) > 1
    clocked.stage(minutes[-2])  # three hours later, the first run after the outage
    clocked.load()
    clocked.stage(minutes[-1])
    clocked.load()

    newest = plans.latest(clocked.lake)
    assert newest is not None
    assert newest.sequence == 2 + 14 + 1, "182 minutes of 3 requests in bounded plans, not in 182 runs"
    missing = sorted(set(ids) - set(clocked.event_ids()))
    assert missing == sorted(one for one in ids if one.startswith(f"{minutes[1][0]:%H%M}")), "the minute that failed"
    healed = [heal(clocked, (hour, hour + timedelta(hours=1))) for hour in hours(start, minutes[-1][1])]
    assert healed == [{"sealed": 1, "loaded": 1}, *[{"sealed": 0, "loaded": 0}] * 2]
    assert clocked.event_ids() == sorted(ids)
    assert set(unexplained(clocked, range(1, newest.sequence + 1)).values()) == {0}
    assert [heal(clocked, (start, minutes[-1][1]))] == [{"sealed": 0, "loaded": 0}]


def hours(start: datetime, end: datetime) -> list[datetime]:
    """Return the whole hours that the chain has passed."""
    count = int((end - start).total_seconds() // 3600)
    return [start + timedelta(hours=number) for number in range(count)]


def heal(pipe: Pipeline, hour: Interval) -> dict[str, int]:
    """Do what settle_hour does before it reconciles."""
    covered = settling.coverage(pipe.lake, hour, wait_s=0)
    with pipe.warehouse() as warehouse:
        return settling.heal(pipe.lake, warehouse, pipe.kafka, pipe.settings, pipe.known, covered)


class Repairs(threading.Thread):
    """Heals everything that is planned, again and again beside the live runs, the current minute included."""

    def __init__(self, pipe: Pipeline, start: datetime) -> None:
        super().__init__()
        self.pipe, self.begin = pipe, start
        self.rounds, self.busy, self.done = 0, 0, threading.Event()
        self.failures: list[BaseException] = []

    def run(self) -> None:
        while not self.done.is_set():
            try:
                found = plans.plans_of(self.pipe.lake, self.begin, datetime.now(UTC) + timedelta(hours=1))
                with self.pipe.warehouse() as warehouse:
                    settling.heal(
                        self.pipe.lake, warehouse, self.pipe.kafka, self.pipe.settings, self.pipe.known,
                        plans.numbered(found),
                    )  # fmt: skip
                self.rounds += bool(found)
            except TransientError:
                self.busy += 1
            except BaseException as error:  # noqa: BLE001 - the test shows it
                self.failures.append(error)
                return


def again(step: Callable[[], Any]) -> Any:
    """Run a step as Airflow does: again after a TransientError."""
    for _ in range(30):
        try:
            return step()
        except TransientError:
            time.sleep(0.1)
    return step()


def test_live_loads_beside_repairs_of_the_current_minute_load_each_event_once(pipe: Pipeline) -> None:
    start = datetime.now(UTC)
    repairs = Repairs(pipe, start - timedelta(hours=1))
    repairs.start()
    ids: list[str] = []
    moments = [start + timedelta(seconds=0.4 * number) for number in range(9)]
    try:
        for number, interval in enumerate(pairwise(moments)):
            mine = [f"live-{number}-{one}" for one in range(4)]
            repeated = ids[-2:]
            made = [event(one, occurred_at=start.isoformat()) for one in [*mine, *repeated]]
            pipe.produce(request(*made, partition=number % 4))
            ids += mine
            again(lambda interval=interval: pipe.stage((interval[0], max(interval[1], pipe.now()[1]))))  # type: ignore[misc]
            again(pipe.load)
    finally:
        repairs.done.set()
        repairs.join()
    assert repairs.failures == []
    assert repairs.rounds > 1
    with pipe.warehouse() as warehouse:
        assert loading.load_sealed(pipe.lake, warehouse, pipe.settings)["batches"] == 0
    assert pipe.event_ids() == sorted(ids)
    newest = plans.latest(pipe.lake)
    assert newest is not None
    ledger = [row[0] for row in pipe.rows("SELECT SEQUENCE FROM CONTROL.LOADS ORDER BY 1")]
    assert ledger == list(range(1, newest.sequence + 1))
    assert pipe.rows("SELECT COUNT(*), COUNT(DISTINCT EVENT_ID) FROM PUBLISH.OUTBOX") == [(len(ids), len(ids))]
    assert set(unexplained(pipe, ledger).values()) == {0}
