"""Configures Airflow for one machine: SQLite, LocalExecutor, no login, nothing that leaves 127.0.0.1."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from local.credentials import Credentials
from local.paths import PYTHON, ROOT
from local.ports import HOST
from local.settings import LocalSettings

_MIGRATED = ".migrated"
_DATABASE = "airflow.db"
_JOURNAL = b"write-ahead"
_POOLS = ROOT / "deploy" / "airflow" / "pools.json"


_PACE: dict[str, dict[str, object]] = {
    "SCHEDULER": {
        # Four handovers from task to task lie between an interval's end and its events in the warehouse.
        "SCHEDULER_IDLE_SLEEP_TIME": 0.25,
        "SCHEDULER_HEARTBEAT_SEC": 2,
        "JOB_HEARTBEAT_SEC": 2,
        # What a killed scheduler left running is taken up again after these, not after five minutes.
        "ORPHANED_TASKS_CHECK_INTERVAL": 20,
        "TASK_INSTANCE_HEARTBEAT_TIMEOUT": 60,
    },
    "DAG_PROCESSOR": {"REFRESH_INTERVAL": 30, "MIN_FILE_PROCESS_INTERVAL": 30, "PARSING_PROCESSES": 1},
    "USAGE_DATA_COLLECTION": {"ENABLED": False},
}


def airflow_environment(
    settings: LocalSettings, ports: Mapping[str, int], state: Path, credentials: Credentials
) -> dict[str, str]:
    """Return the variables with which every Airflow command works on this stack."""
    home = state / "airflow"
    named = {
        f"AIRFLOW__{section}__{key}": str(value)
        for section, keys in (_options(settings, ports, home, credentials) | _PACE).items()
        for key, value in keys.items()
    }
    return {"AIRFLOW_HOME": str(home), **named}


def _options(
    settings: LocalSettings, ports: Mapping[str, int], home: Path, credentials: Credentials
) -> dict[str, dict[str, object]]:
    url = f"http://{HOST}:{ports['airflow_port']}"
    return {
        "CORE": {
            "DAGS_FOLDER": ROOT / "dags",
            "PLUGINS_FOLDER": ROOT / "plugins",
            "EXECUTOR": "LocalExecutor",
            "PARALLELISM": settings.airflow_parallelism,
            "LOAD_EXAMPLES": False,
            "DAGS_ARE_PAUSED_AT_CREATION": False,
            "SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "FERNET_KEY": credentials.airflow_fernet_key,
            "EXECUTION_API_SERVER_URL": f"{url}/execution/",
        },
        # Long enough for a busy moment; short enough that tasks outlive it when the API server locks itself out.
        "DATABASE": {"SQL_ALCHEMY_CONN": f"sqlite:///{home / _DATABASE}?timeout=20"},
        "API": {
            "HOST": HOST,
            "PORT": ports["airflow_port"],
            "BASE_URL": url,
            "WORKERS": 1,
            "SECRET_KEY": credentials.airflow_api_secret,
        },
        "API_AUTH": {"JWT_SECRET": credentials.airflow_jwt_secret, "JWT_ISSUER": "analytics-event-backend"},
        "LOGGING": {"BASE_LOG_FOLDER": home / "logs"},
    }


def is_migrated(home: Path) -> bool:
    """Say whether Airflow's database is that of the locked Airflow, with the pools of this version."""
    stamp = home / _MIGRATED
    return stamp.exists() and stamp.read_text() == _version()


def migrate(home: Path) -> None:
    """Bring Airflow's database up to date, import the pools, and remember for which version, last."""
    home.mkdir(parents=True, exist_ok=True)
    # Kept in the file. With SQLite's default journal any reader holds up every writer, its own process's included.
    with closing(sqlite3.connect(home / _DATABASE)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    for command in (["db", "migrate"], ["pools", "import", str(_POOLS)]):
        subprocess.run([str(PYTHON), "-m", "airflow", *command], check=True)
    (home / _MIGRATED).write_text(_version())


def _version() -> str:
    return hashlib.sha256((ROOT / "requirements.txt").read_bytes() + _POOLS.read_bytes() + _JOURNAL).hexdigest()


if __name__ == "__main__":
    migrate(Path(os.environ["AIRFLOW_HOME"]))
