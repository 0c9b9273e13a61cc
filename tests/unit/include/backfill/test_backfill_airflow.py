"""Airflow's API as the command uses it: refusals are named, a locked SQLite is waited for, orphans are cleared away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.backfill import airflow
from include.backfill.airflow import Airflow, BackfillSettings
from include.errors import SetupError, TransientError

LOCKED = (503, {"detail": "Database is locked. Backfill creation is not supported on SQLite"})
HOUR = datetime(2026, 11, 22, 5, tzinfo=UTC)


class Answers:
    """Answers by method and path, each a list that is used up to its last; records what was asked."""

    def __init__(self) -> None:
        self.of: dict[str, list[tuple[int, Any]]] = {"GET /auth/token": [(201, {"access_token": "token"})]}
        self.asked: list[tuple[str, Any]] = []

    def next(self, what: str, body: Any) -> tuple[int, Any]:
        self.asked.append((what, body))
        left = self.of.get(what, [(404, {"detail": "not found"})])
        return left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def url(answers: Answers) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, found = answers.next(f"{self.command} {self.path.split('?')[0]}", body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - names that http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow, "_PAUSE_S", 0.01)
    monkeypatch.setattr(airflow, "_PATIENCE_S", 0.2)


def create(url: str) -> int:
    return Airflow(BackfillSettings(url)).create(HOUR, HOUR, {"mode": "heal"}, 2, "completed")


def test_a_backfill_is_created_with_its_parameters(url: str, answers: Answers) -> None:
    answers.of["POST /api/v2/backfills"] = [(200, {"id": 7})]
    assert create(url) == 7
    (_, body) = answers.asked[-1]
    assert body["dag_run_conf"] == {"mode": "heal"}
    assert (body["dag_id"], body["reprocess_behavior"], body["max_active_runs"]) == ("settle_hour", "completed", 2)


def test_a_locked_database_is_waited_for_and_what_it_left_is_cancelled(url: str, answers: Answers) -> None:
    answers.of["POST /api/v2/backfills"] = [LOCKED, LOCKED, (200, {"id": 9})]
    answers.of["GET /api/v2/backfills"] = [
        (200, {"backfills": [{"id": 8, "completed_at": None}]}), (200, {"backfills": []}),
    ]  # fmt: skip
    answers.of["PUT /api/v2/backfills/8/cancel"] = [(200, {})]
    assert create(url) == 9
    assert [what for what, _ in answers.asked].count("PUT /api/v2/backfills/8/cancel") == 1


def test_a_database_that_stays_locked_is_said_to_be(url: str, answers: Answers) -> None:
    answers.of["POST /api/v2/backfills"] = [LOCKED]
    answers.of["GET /api/v2/backfills"] = [(200, {"backfills": []})]
    with pytest.raises(TransientError, match="Airflow's database is locked: Database is locked"):
        create(url)


def test_another_backfill_that_runs_is_left_alone(url: str, answers: Answers) -> None:
    answers.of["POST /api/v2/backfills"] = [(409, {"detail": "There is already a running backfill"})]
    with pytest.raises(SetupError, match=r"409 .* There is already a running backfill"):
        create(url)
    assert [what for what, _ in answers.asked] == ["GET /auth/token", "POST /api/v2/backfills"]


def test_a_refusal_names_the_settings(url: str, answers: Answers) -> None:
    answers.of["POST /api/v2/backfills"] = [(403, {"detail": "Forbidden"})]
    with pytest.raises(SetupError, match="BACKFILL_AIRFLOW_USERNAME"):
        create(url)


def test_an_airflow_that_is_away_is_named() -> None:
    with pytest.raises(TransientError, match=r"Airflow at http://127\.0\.0\.1:9 does not answer"):
        Airflow(BackfillSettings("http://127.0.0.1:9"))


def test_a_user_signs_in_with_a_password(url: str, answers: Answers) -> None:
    answers.of["POST /auth/token"] = [(201, {"access_token": "token"})]
    Airflow(BackfillSettings(url, "on-call", "secret"))
    assert answers.asked == [("POST /auth/token", {"username": "on-call", "password": "secret"})]
