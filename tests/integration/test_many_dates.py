"""More dates than a statement lists: clients choose them, and each event is still there once."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from include import publishing, reconcile, statements
from include.backfill.record import Run
from include.backfill.repair import Hour
from include.backfill.wish import Wish
from include.confirming import confirm
from include.destinations.amplitude import Amplitude
from include.lake import sealed
from include.manifest import dates_of
from include.warehouse import Warehouse
from tests.integration.pipeline import Pipeline, event, request

pytestmark = pytest.mark.usefixtures("gx")
AMPLITUDE = Amplitude("http://127.0.0.1:9", "key", "secret")
NEWEST = date(2026, 11, 20)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that is sent, as text."""
    found: list[str] = []
    original = Warehouse.run

    def run(self: Warehouse, sql: str, *rest: Any, **named: Any) -> Any:
        found.append(sql)
        return original(self, sql, *rest, **named)

    monkeypatch.setattr(Warehouse, "run", run)
    return found


def of_days(count: int, step: int = 3) -> list[dict[str, Any]]:
    """Return an event of each of so many days, the newest first, `step` days apart."""
    return [event(f"e-{day}", occurred_at=f"{NEWEST - timedelta(days=step * day)}T10:00:00Z") for day in range(count)]


def ids(events: list[dict[str, Any]]) -> list[str]:
    return sorted(one["event_id"] for one in events)


def keys(pipe: Pipeline) -> list[tuple[Any, ...]]:
    return pipe.rows("SELECT EVENT_ID, OCCURRED_ON, KAFKA_PARTITION, KAFKA_OFFSET FROM CORE.EVENTS ORDER BY 1, 2")


def test_a_load_of_more_dates_than_are_listed_brings_each_event_once(pipe: Pipeline, said: list[str]) -> None:
    events = of_days(statements.MAX_DATES + 500)
    pipe.produce(request(*events[:900], *events[700:]), request(*events[::7], partition=2))
    pipe.stage()
    assert pipe.load()["rows_inserted"] == len(events)
    assert pipe.event_ids() == ids(events)
    before = keys(pipe)
    pipe.produce(request(*events, event("new", occurred_at=f"{NEWEST}T00:00:00Z"), partition=1))
    pipe.stage()
    assert pipe.load()["rows_inserted"] == 1, "a duplicate is found among the listed dates and in the range"
    assert [row for row in keys(pipe) if row[0] != "new"] == before
    assert max(map(len, said)) < 40_000
    merges = [text for text in said if text.startswith("MERGE INTO CORE.EVENTS")]
    assert len(merges) == 2
    oldest = min(one["occurred_at"][:10] for one in events)
    assert all(f"OR t.OCCURRED_ON BETWEEN '{oldest}' AND '" in text for text in merges), "pruned by literals still"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "MAX_DATES", 3)


@pytest.mark.usefixtures("few")
def test_all_that_follows_a_load_is_right_for_the_dates_in_the_range_too(pipe: Pipeline, said: list[str]) -> None:
    events = of_days(8)
    between = event("between", occurred_at=f"{NEWEST - timedelta(days=16)}T10:00:00Z")  # inside the range, in no batch
    pipe.produce(request(between))
    pipe.stage()
    pipe.load()
    pipe.produce(request(*events, *events[:2]), request(event("bad", platform="symbian")))
    pipe.stage()
    assert pipe.load()["rows_inserted"] == 8
    with pipe.warehouse() as warehouse:
        manifests = list(sealed(pipe.lake, [2]))
        assert publishing.offer(warehouse, AMPLITUDE, pipe.settings) == 9
        hops = {hop.name: hop for hop in reconcile.warehouse_hops(warehouse, manifests)}
        assert (hops["lake_to_events"].expected, hops["lake_to_events"].actual) == (10, 8)
        assert [hop.unexplained for hop in hops.values()] == [0, 0, 0]
        exported = [f"phone-app:{one}" for one in [*ids(events), "between"]]
        confirm(pipe.lake, warehouse, "amplitude", dates_of(manifests), exported)
        vendor = reconcile.vendor_hop(warehouse, "amplitude", manifests)
        assert (vendor.expected, vendor.actual) == (8, 8)
        assert reconcile.twice_hop(warehouse, manifests).unexplained == 0
    assert any(re.search(r"DELIVERIES d.* OR d\.OCCURRED_ON BETWEEN", text, re.DOTALL) for text in said)


@pytest.mark.usefixtures("few")
def test_what_is_deleted_of_the_range_comes_back_by_a_reload(pipe: Pipeline) -> None:
    events = of_days(8)
    pipe.produce(request(*events))
    pipe.stage()
    pipe.load()
    before = keys(pipe)
    pipe.rows("DELETE FROM CORE.EVENTS WHERE EVENT_ID IN ('e-0', 'e-7')")
    with pipe.warehouse() as connected:
        hour = Hour(pipe.lake, connected, pipe.kafka, pipe.settings, pipe.known)
        wish, moment = Wish("reload", "because of a test", "somebody"), datetime(2026, 11, 23, 10)  # noqa: DTZ001
        assert hour.repair(wish, Run("run-1", moment, moment), [1])["rows_inserted"] == 2
    assert keys(pipe) == before
