"""The importer against a warehouse the test holds: cursor, restarts, lateness and outages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.amplitude.importer import WAITING, Importer, pages
from local.amplitude.store import Store
from local.amplitude.warehouse import Publication, Row, ViewMissingError


class Warehouse:
    """A recording stand-in of the view; `operator` is how it compares with the cursor."""

    def __init__(self, operator: str = ">") -> None:
        self.operator = operator
        self.table: list[Row] = []
        self.error: Exception | None = None
        self.calls: list[tuple[str, ...]] = []
        self.break_after_rows: int | None = None

    def publish(self, update_time: str, *insert_ids: str, **fields: object) -> None:
        for insert_id in insert_ids:
            event = {"device_id": "device-1", "event_type": "opened", "time": 1, "insert_id": insert_id, **fields}
            self.table.append(Row(update_time, event))

    def connect(self) -> Warehouse:
        self.calls.append(("connect",))
        if self.error:
            raise self.error
        return self

    def publications(self, cursor: str | None) -> list[Publication]:
        self.calls.append(("publications", cursor or ""))
        if self.error:
            raise self.error
        times = sorted({row.update_time for row in self.table})
        newer = [one for one in times if cursor is None or one > cursor or (one == cursor and self.operator == ">=")]
        return [Publication(one, sum(row.update_time == one for row in self.table)) for one in newer]

    def rows(self, first: str, last: str) -> Iterator[Row]:
        self.calls.append(("rows", first, last))
        found = sorted((row for row in self.table if first <= row.update_time <= last), key=lambda row: row.update_time)
        for index, row in enumerate(found):
            if index == self.break_after_rows:
                raise ConnectionError("cut off")
            yield row

    def close(self) -> None:
        self.calls.append(("close",))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path, lambda: 1_795_390_000.0)
    yield opened
    opened.close()


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture
def importer(store: Store, warehouse: Warehouse) -> Importer:
    return Importer(store, warehouse.connect, 0)


def ids(store: Store) -> list[str]:
    return [insert_id for _, insert_id in store.insert_ids(0)]


@pytest.mark.parametrize("operator", [">", ">="])
def test_every_publication_arrives_once(store: Store, warehouse: Warehouse, importer: Importer, operator: str) -> None:
    warehouse.operator = operator
    warehouse.publish("t1", "a", "b")
    importer.poll()
    warehouse.publish("t2", "c")
    importer.poll()
    importer.poll()
    assert ids(store) == ["a", "b", "c"]
    assert store.cursor() == "t2"
    # What is read again because of >= is not held against the publisher.
    assert "duplicates:import" not in store.counters()
    assert store.counters().get("reread:import", 0) == (3 if operator == ">=" else 0)


def test_a_row_that_becomes_visible_late_is_missed_for_good(
    store: Store, warehouse: Warehouse, importer: Importer
) -> None:
    warehouse.publish("t2", "a")
    importer.poll()
    warehouse.publish("t1", "late")
    warehouse.publish("t2", "same time")
    importer.poll()
    assert ids(store) == ["a"]


def test_ids_published_twice_are_counted_as_duplicates(store: Store, warehouse: Warehouse, importer: Importer) -> None:
    warehouse.publish("t1", "a")
    importer.poll()
    warehouse.publish("t2", "a")
    importer.poll()
    assert (ids(store), store.counters()["duplicates:import"]) == (["a"], 1)


def test_rows_and_cursor_are_one_transaction(
    store: Store, warehouse: Warehouse, importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.amplitude.importer.CHUNK_ROWS", 2)
    warehouse.publish("t1", "a", "b", "c")
    warehouse.publish("t2", "d", "e")
    warehouse.break_after_rows = 4
    importer.poll()
    assert store.cursor() is None
    assert ids(store) == ["a", "b"]
    warehouse.break_after_rows = None
    importer.poll()
    assert (ids(store), store.cursor()) == (["a", "b", "c", "d", "e"], "t2")
    assert warehouse.calls.count(("connect",)) == 2


def test_an_outage_is_told_once_and_healed_by_the_next_poll(
    store: Store, warehouse: Warehouse, importer: Importer, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse.publish("t1", "a")
    warehouse.error = ConnectionError("warehouse is away")
    importer.poll()
    importer.poll()
    assert importer.state()["last_error"] == "ConnectionError: warehouse is away"
    assert len(caplog.records) == 1
    warehouse.error = None
    importer.poll()
    assert (ids(store), importer.state()["last_error"]) == (["a"], None)


def test_a_missing_view_is_an_ordinary_state(warehouse: Warehouse, importer: Importer) -> None:
    importer.poll()
    warehouse.error = ViewMissingError()
    importer.poll()
    assert importer.state()["last_error"] == WAITING
    assert [call for call in warehouse.calls if call[0] in {"connect", "close"}] == [("connect",)]


def test_rows_that_amplitude_cannot_take_are_left_out_and_counted(
    store: Store, warehouse: Warehouse, importer: Importer
) -> None:
    warehouse.publish("t1", "a")
    warehouse.publish("t1", "b", time="2026-11-23")
    warehouse.publish("t1", "c", device_id=None)
    importer.poll()
    assert ids(store) == ["a"]
    assert store.counters() == {
        "events:import": 1, "rejected:import: invalid_fields time": 1,
        "rejected:import: missing_fields device_id": 1, "rejected:import: missing_fields user_id": 1,
    }  # fmt: skip


def test_the_thread_polls_and_stops(store: Store, warehouse: Warehouse) -> None:
    warehouse.publish("t1", "a")
    importer = Importer(store, warehouse.connect, 0.01)
    importer.start()
    while importer.state()["polls"] < 3:
        time.sleep(0.005)
    importer.stop()
    assert ids(store) == ["a"]
    assert warehouse.calls[-1] == ("close",)


def test_pages_hold_whole_publications() -> None:
    found = pages([Publication("t1", 3), Publication("t2", 3), Publication("t3", 9), Publication("t4", 1)], 6)
    assert list(found) == [("t1", "t2"), ("t3", "t3"), ("t4", "t4")]
    assert list(pages([])) == []
