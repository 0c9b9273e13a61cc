"""Which dates of EVENTS are read to close and open failed rows, and that nothing is locked where there is nothing."""

from __future__ import annotations

from datetime import date, timedelta

from include.statements import MAX_DATES
from include.twins import close_twins, grouped
from include.warehouse import Warehouse
from tests.unit.include.fakes import RecordingConnection

DAY = date(2026, 11, 23)


def connection(
    opened: list[tuple[date | None, date]], resolved: list[date], arrived: list[date]
) -> RecordingConnection:
    return RecordingConnection({
        "SELECT DISTINCT OCCURRED_ON, RECEIVED_AT": list(opened),
        "SELECT DISTINCT RESOLVED_ON": [(day,) for day in resolved],
        "SELECT DISTINCT o.OCCURRED_ON": [(day,) for day in arrived],
        "UPDATE CONTROL.WRITER_LOCKS": [(1,)],
        "SELECT SYSDATE()": [(None,)],
        "MERGE": [(2,)],
    })  # fmt: skip


def merges(fake: RecordingConnection) -> list[str]:
    return [text for text, _ in fake.statements if text.startswith("MERGE")]


def test_where_nothing_failed_nothing_is_locked() -> None:
    fake = connection([], [], [])
    assert close_twins(Warehouse(fake), ["p-1"]) == {"reopened": 0, "closed": 0}  # type: ignore[arg-type]
    assert {effect.split()[0] for effect in fake.effects} == {"SELECT"}


def test_twins_are_looked_for_on_the_events_own_day_around_the_arrival_and_without_a_date() -> None:
    fake = connection([(date(2026, 9, 1), DAY), (None, DAY)], [], [])
    assert close_twins(Warehouse(fake), ["p-1"]) == {"reopened": 0, "closed": 2}  # type: ignore[arg-type]
    (text,) = merges(fake)
    assert "e.OCCURRED_ON IN ('1970-01-01', '2026-09-01', '2026-11-22', '2026-11-23', '2026-11-24')" in text
    assert fake.effects[-5:] == [
        "UPDATE CONTROL.WRITER_LOCKS SET", "SELECT SYSDATE()", "MERGE INTO CORE.FAILED_EVENTS", "COMMIT",
        "SELECT DISTINCT o.OCCURRED_ON",
    ]  # fmt: skip


def test_a_twin_that_arrived_with_these_plans_is_looked_for_on_its_own_day() -> None:
    fake = connection([], [], [date(2026, 8, 1)])
    assert close_twins(Warehouse(fake), ["p-1"]) == {"reopened": 0, "closed": 2}  # type: ignore[arg-type]
    (text,) = merges(fake)
    assert "WHERE OCCURRED_ON IN ('2026-08-01') AND BATCH_ID IN (%(plans)s)" in text


def test_opening_comes_first_and_reads_the_days_of_the_resolved_rows() -> None:
    fake = connection([], [date(2026, 8, 1), DAY], [])
    assert close_twins(Warehouse(fake), ["p-1"]) == {"reopened": 2, "closed": 0}  # type: ignore[arg-type]
    (text,) = merges(fake)
    assert text.count("IN ('2026-08-01', '2026-11-23')") == 2
    assert "RESOLVED_AT = NULL" in text


def test_many_dates_and_plans_are_several_statements() -> None:
    days = [DAY - timedelta(days=number) for number in range(MAX_DATES + 1)]
    fake = connection([], days, [])
    assert close_twins(Warehouse(fake), ["p-1"])["reopened"] == 4  # type: ignore[arg-type]
    assert len(merges(fake)) == 2
    assert list(grouped(["a", "b", "c"], 2)) == [["a", "b"], ["c"]]
