"""accept-gap on real parts: shows what stands, accepts exactly that, and everything behind it flows and adds up."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]
from rich.console import Console

from include import accept_gap, accepting, reconcile, settling
from include.errors import DataGapError, TransientError
from include.lake import sealed
from include.plans import Plan
from include.reconcile import Hop
from include.warehouse import Warehouse
from tests.integration.pipeline import KilledError, Pipeline, event, injected, request
from tests.integration.test_staging_gaps import expire, fill

pytestmark = pytest.mark.usefixtures("gx")


def run(pipe: Pipeline, reason: str | None = None, warehouse: Any = None) -> tuple[int, str]:
    """Run the command as make does; returns exit status and what it printed."""
    console = Console(file=io.StringIO(), width=200)
    opened = warehouse or pipe.warehouse
    status = accept_gap.run(pipe.lake, pipe.kafka, opened, reason=reason, by="on-call", console=console)
    assert isinstance(console.file, io.StringIO)
    return status, console.file.getvalue()


def accept(pipe: Pipeline, reason: str = "disk was full") -> str:
    status, text = run(pipe, reason)
    assert status == 0, text
    return text


def plan(pipe: Pipeline, sequence: int) -> Plan:
    found = pipe.lake.read(sequence)
    assert found is not None
    return found


def hops(pipe: Pipeline, *sequences: int) -> list[Hop]:
    """Reconcile these plans as settle_hour does, up to the warehouse."""
    manifests = list(sealed(pipe.lake, list(sequences)))
    assert len(manifests) == len(sequences)
    with pipe.warehouse() as warehouse:
        return [*reconcile.lake_hops(manifests), *reconcile.warehouse_hops(warehouse, manifests)]


def require_joined(pipe: Pipeline, *sequences: int) -> None:
    for sequence in sequences:
        settling._require_joined(pipe.lake, pipe.lake.read(sequence - 1), plan(pipe, sequence))


def rows(pipe: Pipeline) -> list[tuple[Any, ...]]:
    wanted = "KIND, PLAN_SEQUENCE, KAFKA_PARTITION, FIRST_OFFSET, END_OFFSET, RECORDS, REASON, ACCEPTED_BY"
    return pipe.rows(f"SELECT {wanted} FROM CONTROL.ACCEPTED_GAPS ORDER BY ACCEPTANCE_ID, KAFKA_PARTITION")  # noqa: S608


def test_what_expired_before_it_was_planned_is_shown_accepted_and_gone_over(pipe: Pipeline) -> None:
    ids = fill(pipe, 3)
    pipe.stage()
    lost = fill(pipe, 5, "lost")
    expire(pipe, 7)
    status, shown = run(pipe)
    assert status == 0
    assert "[3, 7)" in shown
    assert "make accept-gap ARGS='--reason" in shown
    assert pipe.blobs("gaps/") == {}, "to look changes nothing"
    with pytest.raises(DataGapError, match=r"nothing but `make accept-gap` goes on over it, see docs/runbooks/gap.md"):
        pipe.plan()

    accept(pipe)
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == sorted([*ids, lost[4]])
    (piece,) = plan(pipe, 2).skipped
    assert (piece.acceptance, piece.gap.partition, piece.gap.start, piece.gap.end) == (
        f"{pipe.topic}-gap-000001", 0, 3, 7,
    )  # fmt: skip
    assert rows(pipe) == [("unplanned", 1, 0, 3, 7, 4, "disk was full", "on-call")]
    require_joined(pipe, 2)
    first = hops(pipe, 1, 2)[0]
    assert (first.expected, first.actual, first.explained, first.unexplained) == (8, 4, 4, 0)
    assert first.detail == {f"{pipe.topic}-gap-000001": 4}
    assert not any(hop.unexplained for hop in hops(pipe, 1, 2))


def test_what_expired_after_it_was_planned_is_accepted_and_the_rest_is_staged(pipe: Pipeline) -> None:
    ids = fill(pipe, 6)
    work = pipe.plan()
    expire(pipe, 4)
    with pytest.raises(DataGapError, match=r"4 records \[0, 4\) expired before they were staged"):
        pipe.drain(work)
    assert "unstaged" in run(pipe)[1]
    accept(pipe)
    assert pipe.drain(work) == 2
    pipe.seal(work)
    pipe.load()
    assert pipe.event_ids() == ids[4:]
    (manifest,) = sealed(pipe.lake, [1])
    assert (manifest.missing, manifest.envelopes, manifest.plan.envelopes) == (4, 2, 6)
    assert [piece.acceptance for piece in manifest.accepted] == [f"{pipe.topic}-gap-000001"]
    assert rows(pipe) == [("unstaged", 1, 0, 0, 4, 4, "disk was full", "on-call")]
    found = hops(pipe, 1)
    assert (found[0].expected, found[0].actual, found[0].explained) == (6, 2, 4)
    assert not any(hop.unexplained for hop in found)
    more = fill(pipe, 2, "more")
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == sorted(ids[4:] + more)
    require_joined(pipe, 2)


def test_one_acceptance_takes_a_plans_loss_and_the_chains(pipe: Pipeline) -> None:
    fill(pipe, 4)
    work = pipe.plan()
    last = fill(pipe, 4, "later")
    expire(pipe, 6)
    accept(pipe)
    assert [row[:6] for row in rows(pipe)] == [("unplanned", 1, 0, 4, 6, 2), ("unstaged", 1, 0, 0, 4, 4)]
    assert pipe.drain(work) == 0
    pipe.seal(work)
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == last[2:]
    found = hops(pipe, 1, 2)
    assert (found[0].expected, found[0].actual, found[0].explained, found[0].unexplained) == (8, 2, 6, 0)


def test_a_gap_that_grew_needs_another_acceptance_for_what_came_on_top(pipe: Pipeline) -> None:
    fill(pipe, 3)
    pipe.stage()
    ids = fill(pipe, 6, "more")
    expire(pipe, 5)
    accept(pipe)
    expire(pipe, 7)
    with pytest.raises(DataGapError, match=rf"2 records \[5, 7\) .*it grew since {pipe.topic}-gap-000001 accepted a p"):
        pipe.plan()
    accept(pipe, "and some more")
    pipe.stage()
    pipe.load()
    assert set(ids[4:]) <= set(pipe.event_ids())
    assert [(row[3], row[4], row[6]) for row in rows(pipe)] == [(3, 5, "disk was full"), (5, 7, "and some more")]
    assert [piece.acceptance[-6:] for piece in plan(pipe, 2).skipped] == ["000001", "000002"]
    require_joined(pipe, 2)


def test_to_accept_twice_or_where_nothing_stands_writes_nothing_and_says_so(pipe: Pipeline) -> None:
    fill(pipe, 3)
    assert "No gap stands" in accept(pipe), "not even a plan"
    pipe.stage()
    assert "No gap stands" in accept(pipe)
    assert pipe.blobs("gaps/") == {}
    fill(pipe, 3, "lost")
    expire(pipe, 5)
    accept(pipe)
    before = pipe.blobs("gaps/")
    again = accept(pipe, "again")
    assert f"Accepted before: {pipe.topic}-gap-000001, 1 ranges, by on-call" in again
    assert "disk was full" in again
    assert pipe.blobs("gaps/") == before
    assert len(rows(pipe)) == 1


def recreate(pipe: Pipeline, partitions: int = 4) -> None:
    admin = AdminClient(pipe.kafka)
    admin.delete_topics([pipe.topic], operation_timeout=10)[pipe.topic].result()
    config = {"message.timestamp.type": "LogAppendTime"}
    for _ in range(20):
        created = admin.create_topics([NewTopic(pipe.topic, partitions, 1, config=config)], operation_timeout=5)
        if created[pipe.topic].exception(timeout=10) is None:
            break
    for _ in range(50):
        if admin.list_topics(pipe.topic, timeout=10).topics[pipe.topic].error is None:
            return
        time.sleep(0.2)
    pytest.fail("the topic could not be created again")


def test_a_recreated_topic_is_accepted_and_drained_from_its_beginning(pipe: Pipeline) -> None:
    ids = fill(pipe, 5)
    pipe.stage()
    recreate(pipe, partitions=2)
    later = fill(pipe, 3, "later") + fill(pipe, 2, "other", partition=1)
    assert "unknown" in run(pipe)[1]
    accept(pipe, "topic was made anew")
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == sorted(ids + later)
    second = plan(pipe, 2)
    assert [(part.partition, part.start, part.end) for part in second.ranges] == [(0, 0, 3), (1, 0, 2)]
    assert {piece.gap.kind for piece in second.skipped} == {"recreated"}
    assert [(row[0], row[2], row[3], row[4], row[5]) for row in rows(pipe)] == [
        ("recreated", partition, start, None, None) for partition, start in enumerate((5, 0, 0, 0))
    ]
    require_joined(pipe, 2)
    assert not any(hop.unexplained for hop in hops(pipe, 1, 2))


def test_a_plan_of_a_topic_that_was_recreated_never_reads_the_new_ones_records(pipe: Pipeline) -> None:
    fill(pipe, 3)
    work = pipe.plan()
    recreate(pipe)
    later = fill(pipe, 6, "later")
    with pytest.raises(DataGapError, match=r"3 records \[0, 3\) expired before they were staged"):
        pipe.drain(work)
    accept(pipe)
    assert pipe.drain(work) == 0
    pipe.seal(work)
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == later
    assert not any(hop.unexplained for hop in hops(pipe, 1, 2))


def test_an_acceptance_for_one_recreation_is_none_for_the_next(pipe: Pipeline) -> None:
    fill(pipe, 2)
    pipe.stage()
    recreate(pipe)
    accept(pipe)
    recreate(pipe)
    with pytest.raises(DataGapError, match="was recreated"):
        pipe.plan()


def test_killed_before_the_rows_and_run_again_is_the_same(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(pipe, 3)
    pipe.stage()
    fill(pipe, 3, "lost")
    expire(pipe, 5)
    with monkeypatch.context() as patch:
        injected(patch, accepting, "record")
        with pytest.raises(KilledError):
            run(pipe, "disk was full")
    assert len(pipe.blobs("gaps/")) == 1
    assert rows(pipe) == []
    pipe.stage()
    assert "Recorded in CONTROL.ACCEPTED_GAPS" in accept(pipe, "again")
    assert rows(pipe) == [("unplanned", 1, 0, 3, 5, 2, "disk was full", "on-call")]


def test_while_the_warehouse_is_away_the_acceptance_holds_and_the_rows_come_later(pipe: Pipeline) -> None:
    def away() -> Warehouse:
        raise TransientError("Snowflake failed at connecting")

    fill(pipe, 3)
    pipe.stage()
    fill(pipe, 3, "lost")
    expire(pipe, 5)
    status, text = run(pipe, "disk was full", away)
    assert status == 1
    assert "holds, but its rows in CONTROL.ACCEPTED_GAPS are not written: Snowflake failed at connecting" in text
    pipe.stage()
    accept(pipe, "again")
    assert len(rows(pipe)) == 1


def test_of_two_who_accept_at_once_one_looks_again(pipe: Pipeline) -> None:
    fill(pipe, 3)
    pipe.stage()
    fill(pipe, 3, "lost")
    expire(pipe, 5)
    lost = accepting.standing(pipe.lake, pipe.kafka)
    original, seen = pipe.lake.acceptances, pipe.lake.acceptances()
    accepting.accept(pipe.lake, lost, "first", "a")
    pipe.lake.acceptances = lambda: seen  # type: ignore[method-assign]
    with pytest.raises(TransientError, match=r"somebody wrote .*-gap-000001 just now"):
        accepting.accept(pipe.lake, lost, "second", "b")
    pipe.lake.acceptances = original  # type: ignore[method-assign]
    assert [one.accepted_by for one in pipe.lake.acceptances()] == ["a"]


def test_a_partition_that_is_added_while_a_gap_stands_is_drained_from_its_beginning(pipe: Pipeline) -> None:
    pipe.produce(request(event("a"), partition=0))
    pipe.stage()
    pipe.produce(request(event("lost"), partition=0), request(event("kept"), partition=0))
    expire(pipe, 2)
    admin = AdminClient(pipe.kafka)
    admin.create_partitions([NewPartitions(pipe.topic, 5)])[pipe.topic].result()
    pipe.produce(request(event("new"), partition=4))
    accept(pipe)
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == ["a", "kept", "new"]
