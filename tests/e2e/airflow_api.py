"""Airflow's public REST API, as much of it as the end-to-end tests use."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import requests

DAGS = ("stage_events", "load_events", "publish_amplitude", "settle_hour")
_ENDED = {"success", "failed"}
_POLL_SECONDS = 1.0
_TRIES = 4


class Run(NamedTuple):
    """One DAG run."""

    dag_id: str
    run_id: str
    state: str
    run_type: str
    data_interval_start: str | None


class Airflow:
    """One running Airflow whose users are all admins."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/v2"
        self._session = requests.Session()
        token = self._session.get(f"{url}/auth/token", timeout=30).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Return what GET answers."""
        return self._answer(self._session.get(f"{self._url}/{path}", params=query, timeout=60))

    def post(self, path: str, **body: object) -> dict[str, Any]:
        """Return what POST answers.

        On SQLite, Airflow's audit log and a task's request can lock each other out inside the API server until SQLite
        gives up; that happens before the request itself is looked at, so it is made again.
        """
        for _ in range(_TRIES):
            answer = self._session.post(f"{self._url}/{path}", json=body, timeout=60)
            if answer.status_code != requests.codes.server_error or "Database error" not in answer.text:
                break
        return self._answer(answer)

    def runs(self, dag_id: str) -> list[Run]:
        """Return all runs of a DAG, oldest first."""
        found = self.get(f"dags/{dag_id}/dagRuns", limit=100, order_by="run_after")["dag_runs"]
        return [
            Run(dag_id, run["dag_run_id"], run["state"], run["run_type"], run["data_interval_start"]) for run in found
        ]

    def clear(self, run: Run) -> None:
        """Let all tasks of a run that has ended run again."""
        self.post(f"dags/{run.dag_id}/dagRuns/{run.run_id}/clear", dry_run=False, only_failed=False)

    def trigger(self, dag_id: str, start: datetime, end: datetime, **conf: Any) -> Run:
        """Start a run with this data interval and these parameters."""
        times = {"data_interval_start": start.isoformat(), "data_interval_end": end.isoformat()}
        run = self.post(f"dags/{dag_id}/dagRuns", logical_date=start.isoformat(), conf=conf, **times)
        return Run(dag_id, run["dag_run_id"], run["state"], run["run_type"], run["data_interval_start"])

    def backfill(self, dag_id: str, start: datetime, end: datetime) -> int:
        """Run a range again, whole runs included; returns the backfill's id."""
        body = {"from_date": start.isoformat(), "to_date": end.isoformat(), "reprocess_behavior": "completed"}
        for _ in range(_TRIES):
            try:
                return int(self.post("backfills", dag_id=dag_id, max_active_runs=2, **body)["id"])
            except RuntimeError as error:
                if "Database is locked" not in str(error):
                    raise
            # What SQLite did not let it finish stays behind as a backfill that never ends.
            for one in self.get("backfills", dag_id=dag_id)["backfills"]:
                if one["completed_at"] is None:
                    self._answer(self._session.put(f"{self._url}/backfills/{one['id']}/cancel", timeout=60))
            time.sleep(2 * _POLL_SECONDS)
        raise TimeoutError(f"Airflow's database stays locked: no backfill of {dag_id}")

    def await_backfill(self, backfill_id: int, timeout_seconds: float) -> None:
        """Wait until the backfill is over."""
        deadline = time.monotonic() + timeout_seconds
        while self.get(f"backfills/{backfill_id}")["completed_at"] is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"backfill {backfill_id} is not over")
            time.sleep(_POLL_SECONDS)

    def await_runs(self, runs: Iterable[Run], timeout_seconds: float) -> dict[Run, str]:
        """Wait until the runs have ended; returns their states."""
        deadline, waiting = time.monotonic() + timeout_seconds, list(runs)
        ended: dict[Run, str] = {}
        while waiting:
            for run in list(waiting):
                state = self.get(f"dags/{run.dag_id}/dagRuns/{run.run_id}")["state"]
                if state in _ENDED:
                    ended[run] = state
                    waiting.remove(run)
            if waiting and time.monotonic() > deadline:
                raise TimeoutError(f"not over: {waiting}")
            time.sleep(_POLL_SECONDS if waiting else 0)
        return ended

    def least_tries(self, run: Run) -> int:
        """Return how often the tasks of a run were executed, skipped ones aside."""
        tasks = self.get(f"dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances")["task_instances"]
        return min(int(task["try_number"]) for task in tasks if task["state"] != "skipped")

    def await_quiet(self, timeout_seconds: float) -> None:
        """Wait until no run of any DAG is queued or running: what runs started by other runs has ended too."""
        deadline = time.monotonic() + timeout_seconds
        while active := [run for dag_id in DAGS for run in self.runs(dag_id) if run.state not in _ENDED]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"still active: {active}")
            time.sleep(_POLL_SECONDS)

    @staticmethod
    def _answer(answer: requests.Response) -> dict[str, Any]:
        if not answer.ok:
            raise RuntimeError(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:500]}")
        found: dict[str, Any] = answer.json()
        return found
