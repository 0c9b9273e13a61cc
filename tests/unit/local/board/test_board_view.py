"""The board's words and pictures: numbers as the parts gave them, readable in any terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from include.plans import PartitionRange, Plan
from local.board.draw import draw
from local.board.intervals import IntervalState, Step
from local.board.snapshot import Counts, Latency, Snapshot
from local.board.traffic import Sent
from local.board.view import View, event_rows, interval_row, latency_rows, next_interval_seconds, parts_line, plain_line
from local.watch import PartStatus

NOW = datetime(2026, 11, 23, 9, 5, 30, tzinfo=UTC)
PARTS = tuple(PartStatus(name, state="ready", pid=1, port=9000) for name in ("kafka", "azurite", "ingest"))


def _interval(minute: int, step: Step) -> IntervalState:
    start = datetime(2026, 11, 23, 9, minute, tzinfo=UTC)
    end = start + timedelta(minutes=1)
    plan = Plan(minute, "events", "t", "c", start, end, final=True, ranges=(PartitionRange(0, 0, 70),))
    loaded = (end + timedelta(seconds=9)).replace(tzinfo=None)
    published = (end + timedelta(seconds=13)).replace(tzinfo=None)
    return IntervalState(plan, step, 2_500, 25, loaded, published)


COUNTS = Counts(
    acknowledged=12_000, staged=11_000, failed=110, loaded=10_500, duplicates=390, published=9_000, withheld=1_500,
    vendor=8_000,
)  # fmt: skip
SNAPSHOT = Snapshot(
    NOW, COUNTS, Latency(10_500, 41.23, 70.5, NOW.replace(tzinfo=None) - timedelta(seconds=31)),
    (*(_interval(minute, "at vendor") for minute in range(4)), _interval(4, "published"), _interval(5, "sealed")),
)  # fmt: skip
VIEW = View(
    330.0, PARTS, Sent(posted=12_050, acknowledged=12_000), SNAPSHOT,
    Counts(staged=1_000, failed=10, loaded=900, duplicates=90, published=800, withheld=100, vendor=8_000),
    links=(("Airflow", "http://127.0.0.1:8080"), ("Data Docs", "not written yet")),
)  # fmt: skip


def _drawn(view: View, width: int, height: int, messages: tuple[str, ...] = ()) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=width, height=height, color_system=None).print(draw(view, messages, width, height))
    return output.getvalue().splitlines()


def test_counts_of_this_run_are_what_came_on_top() -> None:
    rows = {name: (now, total) for name, now, total in event_rows(VIEW)}
    assert rows["posted here"] == ("12,050", "")
    assert rows["acknowledged (all)"] == ("12,000", "")
    assert rows["loaded"] == ("9,600", "10,500")
    assert rows["at the vendor"] == ("0", "8,000")
    assert "not acknowledged" not in rows


def test_part_that_did_not_answer_shows_no_number() -> None:
    silent = replace(VIEW, snapshot=Snapshot(NOW, problems=("warehouse and lake did not answer: refused",)))
    rows = {name: (now, total) for name, now, total in event_rows(silent)}
    assert rows["loaded"] == ("-", "-")
    assert latency_rows(silent.snapshot) == [("freshness", "-"), ("post → EVENTS p50 / p95", "-")]
    assert "did not answer: refused" in plain_line(silent)
    assert any("did not answer: refused" in line for line in _drawn(silent, 120, 40))


def test_latency_and_freshness_are_those_of_the_warehouse() -> None:
    assert latency_rows(SNAPSHOT) == [("freshness", "31 s"), ("post → EVENTS p50 / p95", "41.2 s / 70.5 s")]


@pytest.mark.parametrize(
    ("step", "shown"),
    [("planned", "planned"), ("loaded", "loaded +9 s"), ("published", "published +13 s"), ("at vendor", "at vendor")],
)
def test_interval_shows_how_far_it_has_come(step: Step, shown: str) -> None:
    assert interval_row(_interval(3, step)) == ("09:03-09:04", "70", "2,500", "25", shown)


def test_part_that_does_not_serve_is_named() -> None:
    assert parts_line(PARTS) == "all 3 parts serve"
    ill = (*PARTS[:2], PartStatus("ingest", state="dead", restarts=2))
    assert parts_line(ill) == "ingest dead, 2 restarts"


@pytest.mark.parametrize(("width", "height"), [(160, 50), (120, 40), (100, 30), (80, 24), (60, 20), (40, 15)])
def test_board_fits_the_terminal_and_keeps_what_matters(width: int, height: int) -> None:
    for arrived in (None, 83.0):
        lines = _drawn(replace(VIEW, first_arrival_seconds=arrived), width, height)
        assert all(len(line) <= width for line in lines)
        text = "\n".join(lines[:height])
        assert "12,050" in text
        assert "at the vendor" in text
        if height >= 24:
            assert len(lines) <= height
            assert "published +13 s" in text
            assert "127.0.0.1:8080" in text


def test_messages_of_the_stack_are_on_the_board() -> None:
    lines = _drawn(VIEW, 120, 40, ("ingest ended unexpectedly", "ingest is started again (1 of 3 times)."))
    assert any("started again (1 of 3 times)" in line for line in lines)


def test_plain_line_has_every_hop() -> None:
    line = plain_line(VIEW)
    for part in ("posted here 12,050", "loaded 9,600", "at the vendor 0", "freshness 31 s", "all 3 parts serve"):
        assert part in line
    assert "last interval 09:05-09:06 sealed" in line


def test_next_interval_begins_with_the_minute() -> None:
    assert next_interval_seconds(NOW) == 30
