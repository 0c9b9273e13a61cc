"""The range of a backfill: whole hours, over, and known to the chain; every other range gets a clear answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.backfill.span import Span, moment, whole_hours, within_chain
from include.errors import SetupError
from include.plans import plan_interval
from tests.unit.include.fakes import ChainInMemory
from tests.unit.include.test_plans_chain import interval, state

NOW = datetime(2026, 11, 23, 14, 20, tzinfo=UTC)


def at(text: str) -> datetime:
    return moment(text)


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-11-22", 0), ("2026-11-22T05", 5), ("2026-11-22T05:00Z", 5), ("2026-11-22T05:00+02:00", 3)],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, hour: int) -> None:
    assert moment(text) == datetime(2026, 11, 22, hour, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "", "22.11.2026", "2026-13-01"])
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    with pytest.raises(SetupError, match="is not a time: write 2026-11-22"):
        moment(text)


def test_hours_that_are_touched_are_taken_whole() -> None:
    exact = whole_hours(at("2026-11-22T05"), at("2026-11-22T07"), NOW)
    assert (exact.hours, exact.notes) == (2, ())
    minute = whole_hours(at("2026-11-22T05:59"), at("2026-11-22T06:01"), NOW)
    assert (minute.start, minute.end) == (exact.start, exact.end)
    assert minute.notes == ("settle_hour works on whole hours: 05:00 to 07:00 instead of 05:59 to 06:01",)


def test_a_year_is_possible_and_more_is_not() -> None:
    assert whole_hours(NOW - timedelta(days=365), at("2026-11-23T14"), NOW).hours == 365 * 24
    with pytest.raises(SetupError, match="the most is 366"):
        whole_hours(NOW - timedelta(days=400), NOW, NOW)


@pytest.mark.parametrize(("start", "end", "said"), [
    ("2026-11-22", "2026-11-22", "for the whole of 2026-11-22 say to 2026-11-23"),
    ("2026-11-22", "2026-11-21", "the range is empty"),
    ("2026-11-23T14", "2026-11-23T15", "reaches into the hour that is running"),
    ("2026-11-23T10", "2026-11-23T14:30", "the last end is 2026-11-23T14:00 now"),
    ("2026-11-24", "2026-11-25", "reaches into the future"),
])  # fmt: skip
def test_a_range_that_cannot_be_settled_says_why(start: str, end: str, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        whole_hours(at(start), at(end), NOW)


def chain() -> ChainInMemory:
    """Ninety minutes of plans from 10:00 on."""
    made = ChainInMemory()
    for number in range(90):
        plan_interval(made, interval(number), lambda number=number: state({0: 10 * number + 10}), 100, 50)  # type: ignore[misc]
    return made


def test_the_range_begins_with_the_first_plan() -> None:
    found = within_chain(chain(), Span(at("2026-11-20"), at("2026-11-23T12")))
    assert (found.start, found.end) == (at("2026-11-23T10"), at("2026-11-23T12"))
    assert found.notes == ("before 2026-11-23 10:00 nothing was planned, so the range begins there",)
    inside = Span(at("2026-11-23T10"), at("2026-11-23T12"))
    assert within_chain(chain(), inside) == inside


@pytest.mark.parametrize(("start", "end"), [("2026-11-20", "2026-11-21"), ("2026-11-23T12", "2026-11-23T13")])
def test_a_range_without_a_plan_says_which_there_are(start: str, end: str) -> None:
    with pytest.raises(SetupError, match="planned at 2026-11-23 10:00, the newest plan ends at 2026-11-23 11:30"):
        within_chain(chain(), Span(at(start), at(end)))


def test_without_any_plan_there_is_nothing_to_repair() -> None:
    with pytest.raises(SetupError, match="stage_events has not run"):
        within_chain(ChainInMemory(), Span(at("2026-11-20"), at("2026-11-21")))
