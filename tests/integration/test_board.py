"""The board's numbers and the SQL prompt against real parts: what they show is what is there."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from local import sql
from local.board.intervals import Intervals, newest
from local.board.observer import Observer
from local.board.traffic import Traffic
from local.smoke.known_set import Ledger, known_requests, post
from tests.integration.in_process_pipeline import Pipeline

pytestmark = pytest.mark.usefixtures("gx")


def test_counts_and_intervals_follow_a_known_set_step_by_step(whole_way: Pipeline) -> None:
    endpoints, ledger = whole_way.stack.endpoints, Ledger()
    observer = Observer(endpoints)
    first, again = known_requests(5, 1_500)
    before = observer.look().counts
    post([*first, *again], endpoints, ledger)
    posted = ledger.posted()
    repeated = sum(event.acknowledged for event in posted.values()) - len(posted)
    valid = sum(event.is_valid for event in posted.values())
    consented = sum(event.is_valid and event.is_consented for event in posted.values())

    assert observer.look().counts.since(before).acknowledged == len(posted) + repeated
    steps = [_last_step(observer)]
    whole_way.stage()
    staged = observer.look()
    steps.append(_last_step(observer))
    assert staged.counts.since(before).staged == len(posted) + repeated
    assert staged.counts.since(before).loaded == 0
    whole_way.load()
    steps.append(_last_step(observer))
    whole_way.offer()
    steps.append(_last_step(observer))
    whole_way.let_vendor_import()
    steps.append(_last_step(observer))
    assert steps[1:] == ["sealed", "loaded", "published", "at vendor"]

    snapshot = observer.look()
    new = snapshot.counts.since(before)
    assert (new.loaded, new.failed, new.duplicates) == (valid, len(posted) - valid, repeated)
    assert (new.published, new.withheld, new.vendor) == (consented, valid - consented, consented)
    assert snapshot.problems == ()
    assert snapshot.latency is not None
    assert snapshot.latency.p50_seconds is not None
    assert snapshot.latency.p95_seconds is not None
    assert 0 < snapshot.latency.p50_seconds <= snapshot.latency.p95_seconds < 300
    assert snapshot.latency.newest_received_at is not None
    assert (datetime.now(UTC).replace(tzinfo=None) - snapshot.latency.newest_received_at).total_seconds() < 300


def _last_step(observer: Observer) -> str:
    intervals = observer.look().intervals
    return intervals[-1].step if intervals else "none"


def test_intervals_begin_where_asked_and_read_no_plan_twice(whole_way: Pipeline) -> None:
    whole_way.stage()
    last = newest(whole_way.lake)
    intervals = Intervals(whole_way.lake, last)
    assert [state.plan.sequence for state in intervals.refresh(whole_way.warehouse.connection, None)] == [last]
    whole_way.stage()
    found = [state.plan.sequence for state in intervals.refresh(whole_way.warehouse.connection, None)]
    assert found == [last, last + 1]


def test_part_that_is_away_is_a_problem_on_the_board_and_the_others_still_count(whole_way: Pipeline) -> None:
    with Observer(whole_way.stack.endpoints) as observer:
        whole_way.stack.stop_part("amplitude")
        try:
            snapshot = observer.look()
        finally:
            whole_way.stack.start_part("amplitude")
        assert snapshot.counts.vendor is None
        assert snapshot.counts.loaded is not None
        assert [problem.split(" did not answer")[0] for problem in snapshot.problems] == ["amplitude"]
        assert observer.look().problems == ()


def test_traffic_posts_so_many_events_and_counts_what_the_api_counts(whole_way: Pipeline) -> None:
    endpoints = whole_way.stack.endpoints
    observer = Observer(endpoints)
    before = observer.look().counts
    with Traffic(endpoints, 5_000.0, 400) as traffic:
        deadline = time.monotonic() + 60
        while traffic.sent.posted < 400 and time.monotonic() < deadline:
            time.sleep(0.1)
    assert traffic.sent.posted == traffic.sent.acknowledged >= 400
    assert traffic.sent.unanswered == 0
    assert observer.look().counts.since(before).acknowledged == traffic.sent.acknowledged


def test_traffic_ends_at_once_when_told_to(whole_way: Pipeline) -> None:
    began = time.monotonic()
    with Traffic(whole_way.stack.endpoints, 1.0, None):
        pass
    assert time.monotonic() - began < 5


@pytest.fixture
def stack_of_the_prompt(whole_way: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_STATE_DIR", str(whole_way.stack.state_dir))


@pytest.mark.usefixtures("stack_of_the_prompt")
def test_one_query_prints_its_rows_and_says_when_there_are_more(capsys: pytest.CaptureFixture[str]) -> None:
    three = "SELECT * FROM (VALUES (1, 'one'), (2, NULL), (3, 'three')) AS t (N, NAME) ORDER BY N"
    assert sql.main([three]) == 0
    shown = capsys.readouterr().out
    assert "three" in shown
    assert "NULL" in shown
    assert "3 rows" in shown
    assert sql.main(["--csv", "--limit", "2", three]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["N,NAME", "1,one", "2,"]
    assert "Only the first 2 rows" in captured.err


@pytest.mark.usefixtures("stack_of_the_prompt")
def test_wide_rows_are_shown_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    columns = ", ".join(f"{number} AS A_RATHER_LONG_NAME_{number}" for number in range(30))
    assert sql.main([f"SELECT {columns}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "row 1"
    assert any("A_RATHER_LONG_NAME_29 │ 29" in line for line in lines)


@pytest.mark.usefixtures("stack_of_the_prompt")
def test_refused_query_is_an_error_with_the_warehouses_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert sql.main(["SELECT NOPE FROM CORE.EVENTS"]) == 1
    assert "NOPE" in capsys.readouterr().err
