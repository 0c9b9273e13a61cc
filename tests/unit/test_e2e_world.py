"""The comparison behind the end-to-end test: every kind of change is seen, and empty minutes are not one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.world import EVENT_TABLES, GROWING_TABLES, World, changes

BEFORE = World(
    blobs={"plans/events/0000000001.json": "a", "events/v1/x.parquet": "b"},
    rows={table: Counter([("1",), ("2",)]) for table in EVENT_TABLES + GROWING_TABLES},
    vendor={"events": 2, "duplicates": 0},
    vendor_ids=Counter(["app:1", "app:2"]),
)


def _with_rows(table: str, rows: list[tuple[str, ...]]) -> World:
    return replace(BEFORE, rows={**BEFORE.rows, table: Counter(rows)})


def test_nothing_changed() -> None:
    assert changes(BEFORE, BEFORE) == []


def test_what_an_empty_minute_adds_is_no_change() -> None:
    after = replace(BEFORE, blobs={**BEFORE.blobs, "plans/events/0000000002.json": "c"})
    assert changes(BEFORE, after) == []
    assert changes(BEFORE, _with_rows("CONTROL.LOADS", [("1",), ("2",), ("3",)])) == []


@pytest.mark.parametrize(
    "blobs",
    [
        {"plans/events/0000000001.json": "rewritten", "events/v1/x.parquet": "b"},
        {"plans/events/0000000001.json": "a"},
        {**BEFORE.blobs, "events/v1/y.parquet": "new"},
        {**BEFORE.blobs, "failed/v1/y.parquet": "new"},
    ],
)
def test_changed_lake_is_seen(blobs: dict[str, str]) -> None:
    assert len(changes(BEFORE, replace(BEFORE, blobs=blobs))) == 1


@pytest.mark.parametrize("table", EVENT_TABLES + GROWING_TABLES)
def test_row_that_changed_or_went_is_seen(table: str) -> None:
    assert any("changed or gone" in change for change in changes(BEFORE, _with_rows(table, [("1",), ("changed",)])))


@pytest.mark.parametrize("table", EVENT_TABLES)
def test_row_more_is_seen_even_when_it_equals_another(table: str) -> None:
    assert any("rows more" in change for change in changes(BEFORE, _with_rows(table, [("1",), ("1",), ("2",)])))


@pytest.mark.parametrize("change", [{"vendor": {"events": 2, "duplicates": 1}}, {"vendor_ids": Counter(["app:1"])}])
def test_changed_vendor_is_seen(change: dict[str, Any]) -> None:
    assert len(changes(BEFORE, replace(BEFORE, **change))) == 1
