"""Resolution follows EVENTS: good twins close failed events whenever they arrive; what is gone is opened again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include import twins
from tests.integration.pipeline import SOURCES, Pipeline, Request, event, request
from tests.unit import documents

pytestmark = pytest.mark.usefixtures("gx")
RUNBOOK = documents.ROOT / "docs" / "runbooks" / "failed-events.md"
UNCHANGED = {"reopened": 0, "closed": 0}


def fill(pipe: Pipeline, *requests: Request) -> str:
    """Stage and load; returns the newest plan's id."""
    pipe.produce(*requests)
    pipe.stage()
    pipe.load()
    return pipe.plan_ids()[-1]


def close(pipe: Pipeline, *plan_ids: str) -> dict[str, int]:
    with pipe.warehouse() as warehouse:
        return twins.close_twins(warehouse, plan_ids)


def resolutions(pipe: Pipeline) -> list[tuple[Any, ...]]:
    return sorted(pipe.failed("EVENT_ID", "RESOLUTION"))


@pytest.mark.parametrize("days_ago", [0, 45])
def test_a_good_twin_that_comes_later_closes_the_failed_event(pipe: Pipeline, days_ago: int) -> None:
    then = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    failed = fill(pipe, request(event("e", platform="symbian", occurred_at=None), event("f", platform="symbian")))
    assert close(pipe, failed) == UNCHANGED
    good = fill(pipe, request(event("e", occurred_at=then), event("g"), partition=1))
    assert close(pipe, good) == {"reopened": 0, "closed": 1}, "the hour of the twin knows its date"
    assert resolutions(pipe) == [("e", "twin"), ("f", None)]
    assert close(pipe, failed, good) == UNCHANGED
    assert pipe.redrive()["looked_at"] == 1


def test_a_failed_event_that_comes_after_its_good_twin_is_closed(pipe: Pipeline) -> None:
    then = (datetime.now(UTC) - timedelta(days=45)).isoformat()
    fill(pipe, request(event("e", occurred_at=then), event("timeless", occurred_at=None)))
    failed = fill(
        pipe,
        request(event("e", occurred_at=then, platform="x"), event("timeless", occurred_at=None, platform="x")),
        request(event("e", occurred_at=then, platform="x"), source_id="web-app"),
    )
    assert close(pipe, failed) == {"reopened": 0, "closed": 2}
    assert sorted(pipe.failed("SOURCE_ID", "EVENT_ID", "RESOLUTION"), key=str) == [
        ("phone-app", "e", "twin"), ("phone-app", "timeless", "twin"), ("web-app", "e", None),
    ]  # fmt: skip


def test_what_is_taken_out_of_events_is_opened_again_and_redriven_again(pipe: Pipeline) -> None:
    plan = fill(pipe, request(event("mine"), event("twin"), source_id="new-app"))
    pipe.known = (*SOURCES, "new-app")
    fill(pipe, request(event("twin"), source_id="new-app", partition=1))
    found = pipe.redrive()
    assert [found[name] for name in ("looked_at", "redriven", "twin", "events")] == [2, 1, 1, 1]
    assert resolutions(pipe) == [("mine", "redriven"), ("twin", "twin")]
    assert close(pipe, plan) == UNCHANGED
    pipe.rows("DELETE FROM CORE.EVENTS")
    assert close(pipe, plan) == {"reopened": 2, "closed": 0}
    assert resolutions(pipe) == [("mine", None), ("twin", None)]
    assert pipe.redrive()["events"] == 2
    assert resolutions(pipe) == [("mine", "redriven"), ("twin", "redriven")]
    assert close(pipe, plan) == UNCHANGED


def test_the_summary_counts_what_is_open_and_shows_an_example(pipe: Pipeline) -> None:
    fill(
        pipe, request(event("a", platform="x1"), event("b", platform="x2"), event("c", event_name="tap", platform="x"))
    )
    fill(pipe, request(event("a")))
    close(pipe, *pipe.plan_ids())
    columns = "SOURCE_ID, EVENT_NAME, APP_VERSION, COLUMN_NAME, EVENTS, OPEN_EVENTS, EXAMPLE"
    assert pipe.rows(f"SELECT {columns} FROM CORE.FAILURES_SUMMARY ORDER BY EVENT_NAME") == [  # noqa: S608
        ("phone-app", "screen_viewed", "4.1.0", "platform", 2, 1, "x1"),
        ("phone-app", "tap", "4.1.0", "platform", 1, 1, "x"),
    ]
    ((first, last),) = pipe.rows("SELECT MIN(FIRST_RECEIVED_AT), MAX(LAST_RECEIVED_AT) FROM CORE.FAILURES_SUMMARY")
    assert first <= last


def test_the_queries_of_the_runbook_find_what_happened(pipe: Pipeline) -> None:
    fill(pipe, request(event("a"), source_id="new-app"), request(event("b", platform="x")))
    summary, single, resolved, lineage = documents.blocks(RUNBOOK, "sql")
    assert {(row[0], row[4], row[5], row[6]) for row in pipe.rows(summary)} == {
        ("new-app", "source_id", 1, 1), ("phone-app", "platform", 1, 1),
    }  # fmt: skip
    assert [row[0] for row in pipe.rows(single)] == ["a"]
    pipe.known = (*SOURCES, "new-app")
    pipe.redrive()
    assert {row[1:3] for row in pipe.rows(resolved)} == {("redriven", 1), (None, 1)}
    assert pipe.rows(lineage) == [(1, 1)]
