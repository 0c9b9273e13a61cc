"""Planning one interval: reuse, older intervals, new partitions, recreated topics, two planners; and task groups."""

from __future__ import annotations

from datetime import datetime
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import DataGapError, TransientError
from include.lake import Lake
from include.plans import PartitionRange, Plan, TopicState, drain_groups, numbered, plan_interval
from include.settings import PipelineSettings
from include.staging import drain_work
from tests.unit.include.fakes import ChainInMemory
from tests.unit.include.test_plans_chain import interval, state


def never_asked() -> TopicState:
    raise AssertionError("Kafka is asked only when something has to be planned")


def plan(chain: ChainInMemory, number: int, cut: dict[int, int], max_envelopes: int = 100) -> list[Plan]:
    return plan_interval(chain, interval(number), lambda: state(cut), max_envelopes, max_plans=50)


def test_a_run_again_reuses_its_plans_and_does_not_ask_kafka() -> None:
    chain = ChainInMemory()
    first = plan(chain, 0, {0: 250, 1: 3})
    assert numbered(first) == [1, 2, 3]
    assert plan_interval(chain, interval(0), never_asked, 100, 50) == first


def test_few_plans_are_shared_between_tasks_and_of_many_each_is_one() -> None:
    chain = ChainInMemory()
    settings = PipelineSettings(sources_file="", pseudonym_key="00" * 32, drain_max_tasks=4, drain_task_envelopes=1)
    for number in range(6):
        plan(chain, number, dict.fromkeys(range(8), 10 * (number + 1)), max_envelopes=1_000)
    tasks = {
        many: [work["sequence"] for work in drain_work(cast("Lake", chain), settings, range(1, many + 1))]
        for many in (0, 1, 2, 3, 6)
    }
    assert tasks == {0: [], 1: [1] * 4, 2: [1, 1, 2, 2], 3: [1, 2, 3], 6: [1, 2, 3, 4, 5, 6]}


def test_a_run_again_after_max_plans_goes_on_where_it_stopped() -> None:
    chain = ChainInMemory()
    plan_interval(chain, interval(0), lambda: state({0: 250}), 100, max_plans=2)
    assert [part.final for part in chain.plans.values()] == [False, False]
    whole = plan_interval(chain, interval(0), lambda: state({0: 250}), 100, max_plans=2)
    assert numbered(whole) == [1, 2, 3]
    assert whole[-1].final
    assert whole[-1].ranges[0].end == 250


def test_an_interval_older_than_the_chain_finds_nothing_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    chain = ChainInMemory()
    plan(chain, 5, {0: 10})
    with caplog.at_level("INFO"):
        assert plan_interval(chain, interval(3), never_asked, 100, 50) == []
    assert "past interval" in caplog.text
    assert len(chain.plans) == 1


def test_an_older_interval_with_plans_of_its_own_finds_them() -> None:
    chain = ChainInMemory()
    first = plan(chain, 0, {0: 10})
    plan(chain, 1, {0: 20})
    assert plan_interval(chain, interval(0), never_asked, 100, 50) == first


def test_a_new_partition_begins_at_its_oldest_offset() -> None:
    chain = ChainInMemory()
    plan(chain, 0, {0: 10})
    found = plan_interval(chain, interval(1), lambda: state({0: 12, 1: 9}, low={0: 0, 1: 4}), 100, 50)
    assert found[0].ranges == (PartitionRange(0, 10, 12), PartitionRange(1, 4, 9))


@pytest.mark.parametrize(("topic_id", "cluster_id"), [("id-2", "cluster-1"), ("id-1", "cluster-2")])
def test_a_recreated_topic_is_a_gap_that_names_both(topic_id: str, cluster_id: str) -> None:
    chain = ChainInMemory()
    plan(chain, 0, {0: 10})
    other = TopicState("events", topic_id, cluster_id, {0: 0}, {0: 3})
    with pytest.raises(
        DataGapError, match=rf"was recreated.* id-1 in cluster cluster-1, now .*{topic_id} in {cluster_id}"
    ):
        plan_interval(chain, interval(1), lambda: other, 100, 50)


def test_the_first_plan_begins_at_the_oldest_offset() -> None:
    chain = ChainInMemory()
    found = plan_interval(chain, interval(0), lambda: state({0: 30, 1: 5}, low={0: 20, 1: 5}), 100, 50)
    assert found[0].ranges == (PartitionRange(0, 20, 30), PartitionRange(1, 5, 5))
    assert found[0].envelopes == 10


def test_the_loser_of_two_planners_fails_and_goes_on_after_the_winner() -> None:
    chain = ChainInMemory()
    chain.taken = True
    with pytest.raises(TransientError, match=r"another planner wrote events-0000000001"):
        plan(chain, 0, {0: 10})
    chain.taken = False
    plan(chain, 0, {0: 10})
    assert len(plan(chain, 0, {0: 10})) == 1


def test_a_quiet_interval_has_an_empty_plan() -> None:
    chain = ChainInMemory()
    plan(chain, 0, {0: 10})
    (empty,) = plan(chain, 1, {0: 10})
    assert (empty.envelopes, empty.final, empty.ranges) == (0, True, (PartitionRange(0, 10, 10),))


def test_a_cut_that_moved_back_gives_an_empty_range_not_a_negative_one() -> None:
    chain = ChainInMemory()
    plan(chain, 0, {0: 10})
    (held,) = plan(chain, 1, {0: 7})
    assert held.ranges == (PartitionRange(0, 10, 10),)


def test_names_sort_as_the_chain_runs() -> None:
    chain = ChainInMemory()
    ids = [made.plan_id for number in range(12) for made in plan(chain, number, {0: number})]
    assert ids == sorted(ids)
    assert ids[0] == "events-0000000001"


def plan_of(sizes: list[int]) -> Plan:
    start: datetime = interval(0)[0]
    ranges = tuple(PartitionRange(number, 7, 7 + size) for number, size in enumerate(sizes))
    return Plan(1, "events", "id-1", "cluster-1", start, start, final=True, ranges=ranges)


@given(st.lists(st.integers(0, 50_000), max_size=64), st.integers(1, 16), st.integers(1, 20_000))
def test_groups_hold_every_busy_partition_once(sizes: list[int], max_tasks: int, task_envelopes: int) -> None:
    groups = drain_groups(plan_of(sizes), max_tasks, task_envelopes)
    busy = [number for number, size in enumerate(sizes) if size]
    assert sorted(number for group in groups for number in group) == busy
    assert 1 <= len(groups) <= max_tasks
    assert all(groups) or groups == [[]]
    assert len(groups) == 1 or sum(sizes) >= len(groups) * task_envelopes


def test_groups_are_even() -> None:
    groups = drain_groups(plan_of([9_000, 1_000, 4_000, 4_000]), 2, 1)
    assert groups == [[0], [1, 2, 3]]


def test_an_empty_plan_still_has_one_task_that_leads_to_its_seal() -> None:
    assert drain_groups(plan_of([0, 0]), 4, 4_000) == [[]]
