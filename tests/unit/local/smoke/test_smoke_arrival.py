"""Waiting for arrival: the hop nearest to the client that has not done its part is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.plans import PartitionRange, Plan
from local.board.intervals import IntervalState, Step
from local.smoke.arrival import behind

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def _state(sequence: int, step: Step) -> IntervalState:
    ranges = (PartitionRange(0, 0, 10),)
    plan = Plan(sequence, "events", "t", "c", START, START + timedelta(minutes=1), final=True, ranges=ranges)
    return IntervalState(plan, step, 10, 0)


def test_nothing_is_behind_when_all_is_at_the_vendor() -> None:
    assert behind([_state(1, "at vendor"), _state(2, "at vendor")], imports=True) is None


@pytest.mark.parametrize(
    ("step", "dag"),
    [
        ("planned", "stage_events"),
        ("sealed", "load_events"),
        ("loaded", "publish_amplitude"),
        ("published", "amplitude"),
    ],
)
def test_step_names_who_has_to_act(step: Step, dag: str) -> None:
    said = behind([_state(1, "at vendor"), _state(2, step)], imports=True)
    assert said is not None
    assert "events-0000000002" in said
    assert dag in said


def test_hop_nearest_to_the_client_is_named_first() -> None:
    said = behind([_state(1, "published"), _state(2, "planned"), _state(3, "sealed")], imports=True)
    assert said is not None
    assert "events-0000000002" in said


def test_published_is_enough_where_we_push() -> None:
    assert behind([_state(1, "published")], imports=False) is None
