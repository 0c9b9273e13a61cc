"""Dedupe, counters and transactions of the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.amplitude.store import Store

DAY = 24 * 3600


class Clock:
    now = 1_795_390_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = Store(tmp_path, clock)
    yield opened
    opened.close()


def event(insert_id: str | None = "i-1", device: str = "device-1", **more: object) -> dict[str, Any]:
    return {"device_id": device, "event_type": "opened", "insert_id": insert_id, **more}


def test_the_same_insert_id_of_a_device_is_stored_once_within_7_days(store: Store, clock: Clock) -> None:
    store.ingest([event(), event()], "batch")
    clock.now += 7 * DAY - 1
    store.ingest([event()], "import")
    assert len(store.find("i-1")) == 1
    assert store.counters() == {"events:batch": 1, "duplicates:batch": 1, "duplicates:import": 1}
    clock.now += 1
    store.ingest([event()], "batch")
    assert len(store.find("i-1")) == 2


def test_another_device_or_no_insert_id_is_no_duplicate(store: Store) -> None:
    store.ingest([event(), event(device="device-2"), event(None), event(None)], "batch")
    assert [one.event["device_id"] for one in store.find("i-1")] == ["device-1", "device-2"]
    assert store.last_row() == 4


def test_a_missing_time_becomes_the_upload_time(store: Store) -> None:
    uploaded = store.ingest([event(), event("i-2", time=5)], "batch")
    assert (store.find("i-1")[0].event["time"], store.find("i-2")[0].event["time"]) == (uploaded, 5)


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.transaction() as batch:
            batch.add(event(), "import")
            batch.set_cursor("2026-11-23 10:00:00")
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError):
        fail()
    assert (store.last_row(), store.cursor(), store.counters()) == (0, None, {})
    store.ingest([event()], "batch")
    assert store.last_row() == 1


def test_everything_survives_a_reopening(store: Store, tmp_path: Path, clock: Clock) -> None:
    with store.transaction() as batch:
        batch.add(event(), "import")
        batch.set_cursor("2026-11-23 10:00:00")
    other = Store(tmp_path, clock)
    assert (other.cursor(), other.counters()) == ("2026-11-23 10:00:00", {"events:import": 1})
    other.ingest([event()], "import")
    assert other.last_row() == 1
    other.close()


def test_reading_in_pages_misses_nothing(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.amplitude.store.PAGE_ROWS", 3)
    for hour in range(3):
        store.ingest([event(f"i-{hour}-{index}") for index in range(4)], "batch")
        clock.now += 3600
    start = 1_795_390_000_000
    assert [row for row, _ in store.insert_ids(0)] == list(range(1, 13))
    assert [row for row, _ in store.insert_ids(10)] == [11, 12]
    assert [one.row for one in store.uploaded_between(start, start + 7_200_000)] == list(range(1, 9))
    assert [one.row for one in store.uploaded_between(start + 1, start + 7_200_001)] == list(range(5, 13))
