"""Gaps are errors with numbers: expired offsets, recreated topics; and offsets that hold no record are no gap."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]

from include import plans, sealing, settling, topic
from include.errors import DataGapError, SetupError, TerminalError
from tests.integration.pipeline import Pipeline, event, request

pytestmark = pytest.mark.usefixtures("gx")


def fill(pipe: Pipeline, count: int, prefix: str = "e", partition: int = 0) -> list[str]:
    ids = [f"{prefix}-{number}" for number in range(count)]
    pipe.produce(*(request(event(one), partition=partition) for one in ids))
    return ids


def expire(pipe: Pipeline, before: int, partition: int = 0) -> None:
    """Let Kafka forget the records before an offset, as retention does."""
    admin = AdminClient(pipe.kafka)
    (done,) = admin.delete_records([TopicPartition(pipe.topic, partition, before)]).values()
    done.result(timeout=10)


def test_offsets_that_expired_before_they_were_planned_are_a_gap_with_numbers(pipe: Pipeline) -> None:
    fill(pipe, 3)
    pipe.stage()
    fill(pipe, 5, "lost")
    expire(pipe, 7)
    with pytest.raises(
        DataGapError, match=rf"topic {pipe.topic} partition 0: 4 records \[3, 7\) expired before they were planned"
    ):
        pipe.plan()
    assert len(pipe.blobs("plans/")) == 1


def test_offsets_that_expired_after_they_were_planned_are_a_gap_with_numbers(pipe: Pipeline) -> None:
    fill(pipe, 6)
    work = pipe.plan()
    expire(pipe, 4)
    with pytest.raises(
        DataGapError, match=rf"topic {pipe.topic} partition 0: 4 records \[0, 4\) expired before they were staged"
    ):
        pipe.drain(work)
    assert not pipe.blobs("events/")


def test_what_expired_after_it_was_staged_is_nobodys_loss(pipe: Pipeline) -> None:
    ids = fill(pipe, 4)
    work = pipe.stage()
    expire(pipe, 4)
    pipe.drain(work)
    pipe.seal(work)
    more = fill(pipe, 2, "more")
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == sorted(ids + more)


def test_a_topic_that_was_recreated_is_a_gap(pipe: Pipeline, new_topic: Callable[..., str]) -> None:
    fill(pipe, 3)
    pipe.stage()
    admin = AdminClient(pipe.kafka)
    admin.delete_topics([pipe.topic], operation_timeout=10)[pipe.topic].result()
    created = {}
    for _ in range(20):
        created = admin.create_topics([NewTopic(pipe.topic, 4, 1)], operation_timeout=5)
        if created[pipe.topic].exception(timeout=10) is None:
            break
    assert created[pipe.topic].exception() is None
    fill(pipe, 1, "later")
    with pytest.raises(
        DataGapError, match=f"topic {pipe.topic} was recreated: plan {pipe.topic}-0000000001 drained topic id"
    ):
        pipe.plan()


def test_a_topic_that_does_not_exist_wants_a_human(pipe: Pipeline) -> None:
    missing = pipe.with_settings(kafka_topic="no-such-topic")
    with pytest.raises(SetupError, match="Kafka has no topic no-such-topic"):
        missing.plan()


def test_a_partition_that_is_added_is_drained_from_its_beginning(pipe: Pipeline, new_topic: Callable[..., str]) -> None:
    one = pipe.with_settings(kafka_topic=new_topic(partitions=1))
    ids = fill(one, 2)
    one.stage()
    admin = AdminClient(one.kafka)
    admin.create_partitions([NewPartitions(one.topic, 3)])[one.topic].result()
    later = fill(one, 2, "later", partition=2)
    one.stage()
    one.load()
    assert one.event_ids() == sorted(ids + later)


@pytest.mark.parametrize("commits", [True, False])
def test_offsets_without_a_record_neither_stop_nor_split_a_range(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch, *, commits: bool
) -> None:
    # A transaction's marker takes an offset and is never delivered; here it is the last one of the range.
    monkeypatch.setattr(topic, "STALL_TIMEOUT_S", 6.0)
    ids = fill(pipe, 2)
    producer = Producer({**pipe.kafka, "transactional.id": f"{pipe.topic}-{commits}"})
    producer.init_transactions(20)
    producer.begin_transaction()
    made = request(event("in-a-transaction"))
    producer.produce(pipe.topic, made.value, headers=made.headers, partition=0)
    producer.flush(10)
    if commits:
        producer.commit_transaction(20)
    else:
        producer.abort_transaction(20)
    pipe.stage()
    pipe.load()
    # An idempotent producer without transactions writes no markers: our own API never makes such offsets.
    assert pipe.event_ids() == sorted([*ids, "in-a-transaction"])


def test_the_cut_divides_records_by_the_brokers_clock(pipe: Pipeline) -> None:
    first = fill(pipe, 3)
    early = pipe.now()
    time.sleep(0.2)
    fill(pipe, 2, "late")
    (work,) = pipe.plan(early)
    pipe.drain([work])
    pipe.seal([work])
    pipe.load()
    assert pipe.event_ids() == first
    pipe.stage()
    pipe.load()
    assert len(pipe.event_ids()) == 5


def test_a_run_after_an_outage_takes_everything_since_the_last_plan(pipe: Pipeline) -> None:
    ids = fill(pipe, 2)
    pipe.stage()
    more = fill(pipe, 9, "backlog")
    bounded = pipe.with_settings(plan_max_envelopes=4, plan_max_per_run=2)
    interval = bounded.now()
    bounded.stage(interval)
    last = bounded.lake.read(3)
    assert last is not None
    assert not last.final
    bounded.stage(interval)
    pipe.load()
    assert pipe.event_ids() == sorted(ids + more)


def test_a_staged_file_that_was_lost_is_made_again_by_the_same_run(pipe: Pipeline) -> None:
    pipe.produce(request(event("a"), event("b", platform="symbian")))
    work = pipe.plan()
    pipe.drain(work)
    pipe.seal(work)
    before = pipe.blobs()
    lost = next(name for name in before if name.startswith("events/"))
    pipe.lake.container.delete_blob(lost)
    with pytest.raises(TerminalError, match="1 batches cannot be loaded"):
        pipe.load()
    pipe.drain(work)
    assert pipe.blobs().keys() == before.keys()
    pipe.load()
    assert pipe.rows("SELECT EVENT_ID FROM CORE.EVENTS") == [("a",)]


def test_healing_does_what_an_hours_runs_left_undone(pipe: Pipeline) -> None:
    ids = fill(pipe, 3)
    (work,) = pipe.plan()
    plan = pipe.lake.read(1)
    assert plan is not None
    assert pipe.lake.create(msgspec.structs.replace(plan, sequence=2, ranges=tuple(
        msgspec.structs.replace(part, start=part.end) for part in plan.ranges
    )))  # fmt: skip
    before: dict[str, Any] = pipe.blobs("parts/")
    with pipe.warehouse() as warehouse:
        done = settling.heal(pipe.lake, warehouse, pipe.kafka, pipe.settings, pipe.known, [1, 2])
        assert done == {"sealed": 2, "loaded": 2}
        again = settling.heal(pipe.lake, warehouse, pipe.kafka, pipe.settings, pipe.known, [1, 2])
        assert again == {"sealed": 0, "loaded": 0}
    assert before == {}
    assert work["sequence"] == 1
    assert pipe.event_ids() == ids
    assert sealing.seal_plans(pipe.lake, [1]) == [plan.plan_id]


def test_a_clock_that_jumps_back_neither_skips_nor_repeats(pipe: Pipeline) -> None:
    ids = fill(pipe, 3)
    start, end = pipe.now()
    pipe.stage((start, end))
    more = fill(pipe, 3, "more")
    jump = timedelta(minutes=10)
    assert pipe.plan((start - jump, end - jump)) == [], "an interval older than the newest plan finds nothing"
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == sorted(ids + more)
    settling._require_joined(pipe.lake, *(plans.needed(pipe.lake, sequence) for sequence in (1, 2)))


def test_a_plan_whose_ledger_row_is_deleted_is_loaded_again_and_brings_back_what_is_missing(pipe: Pipeline) -> None:
    ids = fill(pipe, 3)
    pipe.produce(request(event("bad", platform="symbian")))
    pipe.stage()
    pipe.load()
    pipe.rows("DELETE FROM CORE.EVENTS WHERE EVENT_ID = 'e-1'")
    pipe.rows("DELETE FROM CORE.FAILED_EVENTS")
    assert pipe.load()["batches"] == 0
    pipe.rows("DELETE FROM CONTROL.LOADS")
    totals = pipe.load()
    assert (totals["batches"], totals["rows_inserted"], totals["failed_inserted"]) == (1, 1, 1)
    assert pipe.event_ids() == ids
