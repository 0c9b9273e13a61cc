"""Gaps without Kafka: what an acceptance covers, where the chain goes on, what joins two plans and what does not."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include import gaps
from include.errors import DataGapError
from include.gaps import Acceptance, Accepted, Gap
from include.plans import PartitionRange, Plan, TopicState, plan_interval
from include.reconcile import lake_hops
from tests.unit.include.fakes import ChainInMemory
from tests.unit.include.test_plans_chain import interval, state
from tests.unit.include.test_warehouse_load import manifest

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def gap(start: int, end: int | None, partition: int = 0, sequence: int = 1, **changes: str) -> Gap:
    return msgspec.structs.replace(Gap("unplanned", "id-1", "cluster-1", partition, start, end, sequence), **changes)


def accepted(*found: Gap, number: int = 1) -> Acceptance:
    return Acceptance(number, "events", NOW, "on-call", "because", found)


def chain(planned: int = 10, *acceptances: Acceptance) -> ChainInMemory:
    made = ChainInMemory()
    plan_interval(made, interval(0), lambda: state({0: planned}), 1_000, 10)
    made.accepted = list(acceptances)
    return made


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 9))
def test_acceptances_that_follow_each_other_cover_and_leave_exactly_the_rest(sizes: list[int], more: int) -> None:
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    pieces = [gap(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    known = [accepted(piece, number=number) for number, piece in enumerate(pieces, 1)]
    found, left = gaps.cover(gap(0, ends[-1] + more), known)
    assert [one.gap for one in found] == pieces
    assert left == (gap(ends[-1], ends[-1] + more) if more else None)


@pytest.mark.parametrize("other", [
    gap(4, 9), gap(3, 10), gap(3, 9, partition=1), gap(3, 9, sequence=2), gap(3, 9, topic_id="id-2"),
    gap(3, 9, cluster_id="cluster-2"), gap(3, 9, kind="unstaged"), gap(3, None),
])  # fmt: skip
def test_an_acceptance_is_for_exactly_its_gap(other: Gap) -> None:
    assert gaps.cover(gap(3, 9), [accepted(other)]) == ([], gap(3, 9))


def test_the_plan_behind_an_accepted_gap_says_what_it_skips() -> None:
    made = chain(10, accepted(gap(10, 14)))
    first, second = plan_interval(made, interval(1), lambda: state({0: 24}, low={0: 14}), 5, 10)
    assert [first.ranges, second.ranges] == [(PartitionRange(0, 14, 19),), (PartitionRange(0, 19, 24),)]
    assert first.skipped == (Accepted("events-gap-000001", gap(10, 14)),)
    assert second.skipped == (), "a gap is skipped once"
    assert gaps.unjoined(made.plans[1], first, made) == []
    assert gaps.unjoined(first, second, made) == []


def test_one_gap_that_is_not_accepted_stops_all() -> None:
    made = chain(0)
    plan_interval(made, interval(1), lambda: state({0: 10, 1: 10}), 1_000, 10)
    made.accepted = [accepted(gap(10, 14, sequence=2))]
    with pytest.raises(DataGapError, match=r"partition 1: 2 records \[10, 12\)") as raised:
        plan_interval(made, interval(2), lambda: state({0: 20, 1: 20}, low={0: 14, 1: 12}), 1_000, 10)
    assert "partition 0" not in str(raised.value)
    assert len(made.plans) == 2


def test_a_recreated_topic_begins_at_its_beginning_and_its_own_losses_need_acceptance_too() -> None:
    new = TopicState("events", "id-2", "cluster-1", {0: 3}, {0: 9})
    lost = gaps.between(chain(10).plans[1], new)
    assert [(one.kind, one.start, one.end) for one in lost] == [("recreated", 10, None), ("unplanned", 0, 3)]
    half = chain(10, accepted(lost[0]))
    with pytest.raises(DataGapError, match=r"3 records \[0, 3\)"):
        plan_interval(half, interval(1), lambda: new, 1_000, 10)
    whole = chain(10, accepted(*lost))
    (plan,) = plan_interval(whole, interval(1), lambda: new, 1_000, 10)
    assert plan.ranges == (PartitionRange(0, 3, 9),)
    assert gaps.unjoined(whole.plans[1], plan, whole) == []


def changed(plan: Plan, start: int) -> Plan:
    return msgspec.structs.replace(plan, ranges=(PartitionRange(0, start, 24),))


def test_only_exactly_what_was_accepted_joins_two_plans() -> None:
    made = chain(10, accepted(gap(10, 14)))
    (plan,) = plan_interval(made, interval(1), lambda: state({0: 24}, low={0: 14}), 1_000, 10)
    left = made.plans[1]
    assert gaps.unjoined(left, plan, made) == []
    for wrong in (changed(plan, 13), changed(plan, 15), changed(plan, 9), msgspec.structs.replace(plan, skipped=())):
        assert len(gaps.unjoined(left, wrong, made)) == 1
    other_topic = msgspec.structs.replace(plan, topic_id="id-2")
    assert len(gaps.unjoined(left, other_topic, made)) == 1
    assert len(gaps.unjoined(left, msgspec.structs.replace(plan, ranges=()), made)) == 1, "a partition is missing"
    made.accepted = []
    assert len(gaps.unjoined(left, plan, made)) == 1, "what a plan skips must have been accepted"


def test_what_is_lost_is_explained_by_its_acceptance() -> None:
    one = manifest(1)
    plan = msgspec.structs.replace(
        one.plan, ranges=(PartitionRange(0, 5, 13),), skipped=(Accepted("events-gap-000001", gap(3, 5)),)
    )
    short = msgspec.structs.replace(
        one, plan=plan, envelopes=2, missing=6, accepted=(Accepted("events-gap-000002", gap(5, 11, kind="unstaged")),)
    )
    hop = lake_hops([short])[0]
    assert (hop.expected, hop.actual, hop.explained, hop.unexplained) == (10, 2, 8, 0)
    assert hop.detail == {"events-gap-000001": 2, "events-gap-000002": 6}


def test_many_gaps_are_one_sentence() -> None:
    text = gaps.describe("events", [gap(0, 5, partition=number) for number in range(20)])
    assert text.count("expired before") == 8
    assert text.endswith("; and 12 more")
