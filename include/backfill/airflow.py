"""Airflow's public REST API, as much of it as a backfill needs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
import requests
from msgspec import Meta

from include.errors import SetupError, TransientError

DAG = "settle_hour"
TIMEOUT_S = 60.0
_PATIENCE_S = 60.0
_PAUSE_S = 2.0
_LOCKED = ("Database error", "Database is locked")
_ENDED = ("success", "failed")


class BackfillSettings(msgspec.Struct, frozen=True):
    """Where the command finds Airflow."""

    airflow_url: Annotated[str, Meta(pattern=r"^https?://\S+\Z", description="Airflow's API server, as in a browser.")]
    airflow_username: Annotated[str, Meta(description="User that may create backfills; empty where all may.")] = ""
    airflow_password: Annotated[str, Meta(description="That user's password.")] = ""
    credits_per_hour: Annotated[
        float, Meta(ge=0, description="Snowflake credits that an hour of the loading warehouse costs.")
    ] = 1.0


class _LockedError(TransientError):
    """SQLite, where one process writes at a time, gave up; other databases do not do that."""


class Airflow:
    """One Airflow, signed in."""

    def __init__(self, settings: BackfillSettings) -> None:
        """Sign in; raises TransientError when Airflow does not answer, SetupError when it refuses."""
        self._base = settings.airflow_url.rstrip("/")
        self._session = requests.Session()
        user = {"username": settings.airflow_username, "password": settings.airflow_password}
        if settings.airflow_username:
            token = self._call("POST", "/auth/token", user)
        else:
            token = self._call("GET", "/auth/token")
        self._session.headers["Authorization"] = f"Bearer {token['access_token']}"

    def page(self) -> str:
        """Return where people follow a backfill."""
        return f"{self._base}/dags/{DAG}/backfills"

    def create(self, start: datetime, end: datetime, conf: Mapping[str, Any], most_at_once: int, behavior: str) -> int:
        """Start a backfill of the runs that begin in [start, end]; returns its id."""
        body = {
            "dag_id": DAG,
            "from_date": start.isoformat(),
            "to_date": end.isoformat(),
            "dag_run_conf": dict(conf),
            "reprocess_behavior": behavior,
            "max_active_runs": most_at_once,
        }
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return int(self._call("POST", "/api/v2/backfills", body, again=False)["id"])
            except _LockedError:
                if time.monotonic() > deadline:
                    raise
                # What Airflow had begun to create stays behind as a backfill that never ends.
                if orphan := self.active():
                    self.cancel(orphan["id"])
                time.sleep(_PAUSE_S)

    def active(self) -> dict[str, Any] | None:
        """Return the backfill that is not over, None where there is none; Airflow has at most one per DAG."""
        found = self._call("GET", f"/api/v2/backfills?dag_id={DAG}&limit=100&order_by=-id")["backfills"]
        return next((one for one in found if one["completed_at"] is None), None)

    def is_over(self, backfill: int) -> bool:
        """Tell whether a backfill is completed or cancelled."""
        return self._call("GET", f"/api/v2/backfills/{backfill}")["completed_at"] is not None

    def cancel(self, backfill: int) -> None:
        """Let the running hours end and none begin."""
        self._call("PUT", f"/api/v2/backfills/{backfill}/cancel")

    def states(self, start: datetime, end: datetime) -> dict[str, int]:
        """Return how many runs of the hours [start, end) succeeded and failed."""
        query = f"logical_date_gte={_query(start)}&logical_date_lt={_query(end)}&limit=1"
        path = f"/api/v2/dags/{DAG}/dagRuns?{query}"
        return {state: int(self._call("GET", f"{path}&state={state}")["total_entries"]) for state in _ENDED}

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        try:
            return self._session.request(method, f"{self._base}{path}", json=body, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            raise TransientError(f"Airflow at {self._base} does not answer: {type(error).__name__}") from error

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, again: bool = True
    ) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_S
        while _is_locked(answer := self._request(method, path, body)):
            if not again or time.monotonic() > deadline:
                raise _LockedError(f"Airflow's database is locked: {_detail(answer)}")
            time.sleep(_PAUSE_S)
        if answer.status_code in {401, 403}:
            raise SetupError(
                f"Airflow at {self._base} refuses {method} {path} ({answer.status_code}): set "
                "BACKFILL_AIRFLOW_USERNAME and BACKFILL_AIRFLOW_PASSWORD to a user that may create backfills"
            )
        if not answer.ok:
            raise SetupError(f"Airflow answers {answer.status_code} to {method} {path}: {_detail(answer)}")
        found: dict[str, Any] = answer.json()
        return found


def _query(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def _is_locked(answer: requests.Response) -> bool:
    return answer.status_code in {500, 503} and any(text in answer.text for text in _LOCKED)


def _detail(answer: requests.Response) -> str:
    try:
        return str(answer.json()["detail"])[:300]
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]
