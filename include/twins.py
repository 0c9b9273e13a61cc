"""Resolution follows EVENTS: a failed event whose good twin is there is closed, one whose event is gone is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from include.rows import NO_DATE
from include.statements import MAX_DATES, statement
from include.warehouse import Warehouse

MAX_PLANS = 500
_AROUND = tuple(timedelta(days=days) for days in (-1, 0, 1))


def close_twins(warehouse: Warehouse, plan_ids: Sequence[str]) -> dict[str, int]:
    """Open what these plans' resolved rows lost, then close the failed rows that EVENTS has; returns both counts.

    Closed are open rows of these plans whose (source, event id) is in EVENTS, and open rows of any plan whose twin came
    with these plans. Whole envelopes are left alone. Raises our errors.
    """
    totals = {"reopened": 0, "closed": 0}
    for plans in grouped(plan_ids, MAX_PLANS):
        totals["reopened"] += _merge(warehouse, "reopen", plans, _dates(warehouse, "resolved_dates", plans))
        totals["closed"] += _merge(warehouse, "close", plans, _where_twins_lie(warehouse, plans))
        totals["closed"] += _merge(warehouse, "close_arrived", plans, _dates(warehouse, "arrived_dates", plans))
    return totals


def grouped(plan_ids: Sequence[str], most: int) -> Iterator[list[str]]:
    """Yield at most `most` plans at a time, so that statements stay short however long a range is."""
    for start in range(0, len(plan_ids), most):
        yield list(plan_ids[start : start + most])


def _where_twins_lie(warehouse: Warehouse, plans: Sequence[str]) -> set[date]:
    """Return the dates of EVENTS on which the open rows' twins are looked for.

    A twin mostly has the very time of the failed event. Where that could not be read, or was what was wrong, the days
    around the arrival are looked at. A twin that lies elsewhere is found when it arrives (`close_arrived`), for then
    its date is known: without any date EVENTS would be read from its first day, for every hour that is settled.
    """
    rows = warehouse.run(statement("load/twins", "open_dates"), {"plans": plans}, "reading FAILED_EVENTS")
    found = {occurred for occurred, _ in rows if occurred is not None}
    found |= {received + days for _, received in rows for days in _AROUND}
    return found | {NO_DATE} if found else set()


def _dates(warehouse: Warehouse, name: str, plans: Sequence[str]) -> set[date]:
    return {row[0] for row in warehouse.run(statement("load/twins", name), {"plans": plans}, "reading FAILED_EVENTS")}


def _merge(warehouse: Warehouse, name: str, plans: Sequence[str], dates: Iterable[date]) -> int:
    texts = sorted(map(str, dates))
    changed = 0
    for start in range(0, len(texts), MAX_DATES):
        # As the writer of loads, so that no load writes FAILED_EVENTS at the same time.
        with warehouse.transaction("load", name) as moment:
            values: dict[str, Any] = {"plans": plans, "loaded_at": moment}
            sql = statement("load/twins", name, texts[start : start + MAX_DATES])
            changed += int(warehouse.run(sql, values, f"{name} of failed events")[0][0])
    return changed
