"""Backfill as the on-call runs it: rehearsal, repair, cancel and resume, through the command and a real Airflow."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import requests

from bench import history
from include.backfill.command import main as command
from local import clients
from local.backfill import arguments
from local.stack import Stack
from tests.e2e.airflow_api import Airflow
from tests.e2e.world import changes, world
from tests.quiet_imports import import_great_expectations
from tests.unit import documents

HOURS = 2
DOCUMENTED = sorted({
    line.strip() for file in documents.FILES for block in documents.blocks(file, "sh") for line in block.splitlines()
    if line.strip().startswith("make backfill")
})  # fmt: skip
_NEVER = "0 0 1 1 *"
pytestmark = pytest.mark.slow


@dataclass
class Repaired:
    """A stack with a past of some hours that were settled."""

    stack: Stack
    start: datetime
    end: datetime

    def run(self, *words: str) -> int:
        """Run the command over all hours."""
        span = ["--from", self.start.isoformat(), "--to", self.end.isoformat()]
        return command([*span, *words], self.environ)

    @property
    def environ(self) -> dict[str, str]:
        there = self.stack.endpoints
        return {**os.environ, **there, "BACKFILL_AIRFLOW_URL": there["LOCAL_URL_AIRFLOW"]}

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with closing(clients.warehouse(self.stack.endpoints)) as connection, closing(connection.cursor()) as cursor:
            return [tuple(row) for row in cursor.execute(sql).fetchall()]

    def ids(self) -> list[object]:
        return [row[0] for row in self.rows("SELECT SOURCE_ID || ':' || EVENT_ID FROM CORE.EVENTS ORDER BY 1")]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repaired]:
    import_great_expectations()
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(hours=HOURS)
    env = {"LOCAL_STAGE_CRON": _NEVER, "PIPELINE_START_DATE": f"{start:%Y-%m-%dT%H:%M}"}
    with Stack(tmp_path_factory.mktemp("past"), ports="free", env=env) as stack:
        history.give(stack, start, HOURS, 0.5)
        Airflow(stack.endpoints["LOCAL_URL_AIRFLOW"]).await_quiet(300)
        # The vendor imports by itself now and then; a test that compares must not meet it.
        imported = requests.post(f"{stack.endpoints['LOCAL_URL_AMPLITUDE']}/_standin/poll", timeout=60).json()
        assert not imported["last_error"]
        yield Repaired(stack, start, end)


def test_a_rehearsal_changes_nothing(past: Repaired, capsys: pytest.CaptureFixture[str]) -> None:
    before = world(past.stack.endpoints)
    assert past.run() == 0
    assert changes(before, world(past.stack.endpoints)) == []
    printed = capsys.readouterr().out
    assert f"{HOURS} hours, {HOURS * 12} plans" in printed
    assert "nothing to do" in printed


def test_what_somebody_deleted_comes_back_and_is_recorded(past: Repaired, capsys: pytest.CaptureFixture[str]) -> None:
    before = past.ids()
    past.rows("DELETE FROM CORE.EVENTS WHERE KAFKA_PARTITION = 1")
    past.rows("DELETE FROM CONTROL.LOADS WHERE SEQUENCE = 3")
    assert len(past.ids()) < len(before)
    assert past.run("--mode", "reload", "--reason", "rows were deleted by hand") == 0
    assert past.ids() == before
    records = past.rows("SELECT MODE, STATE, REASON, REQUESTED_BY, EVENTS_BEFORE < EVENTS_AFTER FROM CONTROL.BACKFILLS")
    assert {row[:3] for row in records} == {("reload", "done", "rows were deleted by hand")}
    assert [row[4] for row in records] == [True] * HOURS
    assert all(row[3] for row in records)
    assert "What was done" in capsys.readouterr().out


def test_cancelled_hours_are_done_by_a_resume(past: Repaired) -> None:
    assert past.run("--mode", "heal", "--reason", "cancelled", "--max-active-runs", "1", "--no-wait") == 0
    assert command(["--cancel"], past.environ) == 0
    Airflow(past.stack.endpoints["LOCAL_URL_AIRFLOW"]).await_quiet(120)
    assert past.run("--mode", "heal", "--reason", "resumed", "--resume") == 0
    done = past.rows("SELECT COUNT(DISTINCT HOUR) FROM CONTROL.BACKFILLS WHERE MODE = 'heal' AND STATE = 'done'")
    assert done == [(HOURS,)]
    assert past.rows("SELECT COUNT(*) FROM CONTROL.BACKFILLS WHERE STATE <> 'done'") == [(0,)]


@pytest.mark.parametrize("line", DOCUMENTED)
def test_what_the_documents_say_can_be_typed(past: Repaired, line: str) -> None:
    variables = dict(word.split("=", 1) for word in shlex.split(line)[2:])
    given = shlex.split(variables.pop("ARGS", ""))
    times = {name: moment.isoformat() for name, moment in (("FROM", past.start), ("TO", past.end)) if name in variables}
    assert command(arguments(given, variables | times), past.environ) == 0


@pytest.mark.parametrize(("words", "said"), [
    (["--mode", "heal"], "mode heal needs a reason"),
    (["--from", "2026-01-01", "--to", "2026-01-02"], "no plan is in"),
    (["--to", "2999-01-01"], "days; the most is 366"),
])  # fmt: skip
def test_what_cannot_be_done_is_one_sentence(
    past: Repaired, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert past.run(*words) == 2
    assert said in capsys.readouterr().err
