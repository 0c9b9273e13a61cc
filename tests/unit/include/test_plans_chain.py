"""The chain of plans under any cuts: no offset is skipped, none is planned twice (design rule 4)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from include.errors import DataGapError
from include.plans import Plan, TopicState, latest, plan_interval, plans_of
from tests.unit.include.fakes import ChainInMemory

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def state(cut: dict[int, int], low: dict[int, int] | None = None, topic_id: str = "id-1") -> TopicState:
    return TopicState("events", topic_id, "cluster-1", low or dict.fromkeys(cut, 0), cut)


def interval(number: int) -> tuple[datetime, datetime]:
    return T0 + number * MINUTE, T0 + (number + 1) * MINUTE


def planned_offsets(chain: ChainInMemory) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for sequence in sorted(chain.plans):
        for part in chain.plans[sequence].ranges:
            found.setdefault(part.partition, []).extend(range(part.start, part.end))
    return found


steps = st.lists(
    st.tuples(
        st.integers(0, 4),  # how many intervals later the run is; 0 is the same run again
        st.dictionaries(st.integers(0, 4), st.integers(-3, 40), max_size=5),  # growth of the cut, clocks may step back
        st.integers(1, 15),  # max_envelopes
        st.integers(1, 3),  # max_plans
    ),
    max_size=12,
)


@given(steps)
def test_every_offset_is_planned_exactly_once(runs: list[tuple[int, dict[int, int], int, int]]) -> None:
    chain, cut, number = ChainInMemory(), {0: 0}, 0
    high: dict[int, int] = {}
    for later, growth, max_envelopes, max_plans in runs:
        number += later
        cut = {part: max(0, cut.get(part, 0) + growth.get(part, 0)) for part in {*cut, *growth}}
        high = {part: max(cut[part], high.get(part, 0)) for part in cut}
        plan_interval(chain, interval(number), lambda cut=cut: state(cut), max_envelopes, max_plans)  # type: ignore[misc]
    plan_interval(chain, interval(number + 1), lambda: state(high or {0: 0}), 1_000, 1_000)

    for partition, offsets in planned_offsets(chain).items():
        assert offsets == list(range(high.get(partition, 0))), partition
    assert sorted(chain.plans) == list(range(1, len(chain.plans) + 1))


@given(steps)
def test_plans_stay_bounded_and_only_the_last_of_an_interval_is_final(
    runs: list[tuple[int, dict[int, int], int, int]],
) -> None:
    chain, cut, number = ChainInMemory(), {0: 0}, 0
    for later, growth, max_envelopes, max_plans in runs:
        number += later
        cut = {part: max(cut.get(part, 0), cut.get(part, 0) + growth.get(part, 0)) for part in {*cut, *growth}}
        before = len(chain.plans)
        plan_interval(chain, interval(number), lambda cut=cut: state(cut), max_envelopes, max_plans)  # type: ignore[misc]
        made = [chain.plans[sequence] for sequence in range(before + 1, len(chain.plans) + 1)]
        assert len(made) <= max_plans
        # A step cuts every partition at the same fraction, so each may round up by less than one offset.
        assert all(plan.envelopes < max_envelopes + len(plan.ranges) for plan in made)
        assert not any(plan.final for plan in made[:-1])


def chains() -> st.SearchStrategy[list[int]]:
    """Interval numbers of a chain's plans: growing, several plans per interval, intervals left out."""
    return st.lists(st.integers(0, 3), max_size=40).map(lambda gaps: [sum(gaps[: i + 1]) for i in range(len(gaps))])


def chain_of(numbers: list[int]) -> ChainInMemory:
    return ChainInMemory([
        Plan(sequence, "events", "id-1", "cluster-1", *interval(number), final=True, ranges=())
        for sequence, number in enumerate(numbers, 1)
    ])  # fmt: skip


@given(chains())
def test_latest_is_the_end_of_the_chain_in_few_reads(numbers: list[int]) -> None:
    chain = chain_of(numbers)
    newest = latest(chain)
    assert (newest.sequence if newest else 0) == len(numbers)
    assert len(chain.reads) <= 2 * max(1, len(numbers)).bit_length() + 2


@given(chains(), st.integers(-2, 60), st.integers(0, 20))
def test_plans_of_is_what_looking_at_every_plan_finds(numbers: list[int], first: int, length: int) -> None:
    start, end = T0 + first * MINUTE, T0 + (first + length) * MINUTE
    expected = [sequence for sequence, number in enumerate(numbers, 1) if start <= interval(number)[0] < end]
    assert [plan.sequence for plan in plans_of(chain_of(numbers), start, end)] == expected


@given(st.integers(0, 30), st.integers(0, 60))
def test_expired_offsets_are_a_gap_with_numbers_or_nothing_is_lost(planned: int, low: int) -> None:
    chain = ChainInMemory()
    plan_interval(chain, interval(0), lambda: state({0: planned}), 1_000, 10)
    later = state({0: max(low, planned) + 5}, low={0: low})
    if low <= planned:
        plan_interval(chain, interval(1), lambda: later, 1_000, 10)
        assert planned_offsets(chain)[0] == list(range(planned + 5))
        return
    problem = next(_gap(chain, later))
    assert f"partition 0: {low - planned} records [{planned}, {low}) expired" in problem
    assert len(chain.plans) == 1, "nothing is planned over a gap"


def _gap(chain: ChainInMemory, later: TopicState) -> Iterator[str]:
    try:
        plan_interval(chain, interval(1), lambda: later, 1_000, 10)
    except DataGapError as error:
        yield str(error)
