"""The Amplitude stand-in as its own process, importing through the real connector from the Snowflake stand-in."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import snowflake.connector

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60
VIEW = """
CREATE OR REPLACE VIEW ANALYTICS.PUBLISH.AMPLITUDE_EVENTS AS
SELECT USER_ID AS "user_id", DEVICE_ID AS "device_id", EVENT_NAME AS "event_type", TIME_MS AS "time",
       EVENT_PROPERTIES AS "event_properties", INSERT_ID AS "insert_id", PLATFORM AS "platform",
       PUBLISHED_AT AS "update_time_column"
FROM ANALYTICS.PUBLISH.TEST_OUTBOX"""
TABLE = """
CREATE OR REPLACE TABLE ANALYTICS.PUBLISH.TEST_OUTBOX (USER_ID VARCHAR, DEVICE_ID VARCHAR, EVENT_NAME VARCHAR,
TIME_MS NUMBER, EVENT_PROPERTIES VARIANT, INSERT_ID VARCHAR, PLATFORM VARCHAR, PUBLISHED_AT TIMESTAMP_NTZ)"""
PUBLISH = """
INSERT INTO ANALYTICS.PUBLISH.TEST_OUTBOX
SELECT NULL, SHA2('device ' || MOD(SEQ, 50)), 'screen_viewed', 1795393297820 + SEQ,
       PARSE_JSON('{"screen": "home", "soc": 71}'), 'web-app:' || %(prefix)s || SEQ, 'web', %(at)s::TIMESTAMP_NTZ
FROM (SELECT ROW_NUMBER() OVER (ORDER BY 1) AS SEQ FROM TABLE(GENERATOR(ROWCOUNT => %(rows)s)))"""


class Part:
    """One stand-in process that a test may kill and start again on the same port and folder."""

    def __init__(self, module: str, ready_path: str, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._module, self._ready = module, self.url + ready_path
        prefix = f"LOCAL_{module.rpartition('.')[2].upper()}_"
        own = {name: value for name, value in os.environ.items() if not name.startswith(prefix)}
        self._environment = {**own, **environment, prefix + "PORT": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", self._module], cwd=ROOT, env=self._environment)
        wait_for(self._answers, f"{self._module} does not answer")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(READY_SECONDS)
            self._process = None

    def get(self, path: str, **query: str) -> Any:
        return requests.get(self.url + path, params=query, timeout=30).json()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self._module} ended with {self._process.returncode}"
        try:
            return requests.get(self._ready, timeout=5).status_code < 500
        except requests.ConnectionError:
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


@contextmanager
def running(part: Part) -> Iterator[Part]:
    try:
        yield part
    finally:
        part.end()


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Part]:
    with running(Part("local.snowflake", "/", {"LOCAL_SNOWFLAKE_DIR": str(tmp_path / "warehouse")})) as part:
        yield part


@pytest.fixture
def start_amplitude(tmp_path: Path, warehouse: Part) -> Iterator[Callable[..., Part]]:
    parts: list[Part] = []

    def start(operator: str = ">", import_seconds: float = 0.2) -> Part:
        connect = {**connect_arguments(warehouse), "login_timeout": 3, "network_timeout": 3}
        environment = {
            "LOCAL_AMPLITUDE_DIR": str(tmp_path / "vendor"), "LOCAL_AMPLITUDE_API_KEY": "key-1",
            "LOCAL_AMPLITUDE_SECRET_KEY": "secret-1", "LOCAL_AMPLITUDE_IMPORT_SECONDS": str(import_seconds),
            "LOCAL_AMPLITUDE_CURSOR": operator, "LOCAL_AMPLITUDE_SNOWFLAKE": json.dumps(connect),
        }  # fmt: skip
        parts.append(Part("local.amplitude", "/health", environment))
        return parts[-1]

    yield start
    for part in parts:
        part.end()


def connect_arguments(warehouse: Part) -> dict[str, Any]:
    return {
        "account": "local", "host": "127.0.0.1", "port": warehouse.port, "protocol": "http", "user": "PIPELINE",
        "password": "local", "database": "ANALYTICS",
    }  # fmt: skip


def execute(warehouse: Part, *statements: str, values: dict[str, Any] | None = None) -> None:
    arguments = connect_arguments(warehouse)
    with closing(snowflake.connector.connect(**arguments, login_timeout=10, network_timeout=60)) as connection:
        for statement in statements:
            connection.cursor().execute(statement, values)


def set_up(warehouse: Part) -> None:
    create = ["CREATE DATABASE IF NOT EXISTS ANALYTICS", "CREATE SCHEMA IF NOT EXISTS ANALYTICS.PUBLISH"]
    execute(warehouse, *create, TABLE, VIEW)


def publish(warehouse: Part, prefix: str, rows: int, at: str) -> list[str]:
    execute(warehouse, PUBLISH, values={"prefix": prefix, "at": at, "rows": rows})
    return [f"web-app:{prefix}{number}" for number in range(1, rows + 1)]


def ids(amplitude: Part) -> list[str]:
    return requests.get(amplitude.url + "/_standin/insert_ids", timeout=30).text.split()


def wait_for_ids(amplitude: Part, expected: Sequence[str]) -> None:
    wait_for(lambda: sorted(ids(amplitude)) == sorted(expected), f"not {len(expected)} ids at the vendor")


def importer(amplitude: Part) -> dict[str, Any]:
    state: dict[str, Any] = amplitude.get("/_standin/stats")["importer"]
    return state


@pytest.mark.parametrize("operator", [">", ">="])
def test_every_published_row_arrives_once(warehouse: Part, start_amplitude: Callable[..., Part], operator: str) -> None:
    amplitude = start_amplitude(operator)
    wait_for(lambda: importer(amplitude)["polls"] > 0, "the importer does not poll")
    assert importer(amplitude)["last_error"] == "the view ANALYTICS.PUBLISH.AMPLITUDE_EVENTS does not exist yet"
    set_up(warehouse)
    expected = publish(warehouse, "a-", 120, "2026-11-23 10:00:00.000001")
    wait_for_ids(amplitude, expected)
    expected += publish(warehouse, "b-", 30, "2026-11-23 10:00:00.000002")
    wait_for_ids(amplitude, expected)
    stats = amplitude.get("/_standin/stats")
    assert (stats["events"], stats["duplicates"], stats["rejected_rows"]) == (150, 0, {})
    assert stats["importer"]["cursor"] == "2026-11-23 10:00:00.000002"
    (stored,) = amplitude.get("/_standin/events", insert_id="web-app:b-7")
    assert stored["event"]["event_properties"] == {"screen": "home", "soc": 71}
    assert (stored["event"]["event_type"], stored["event"]["time"]) == ("screen_viewed", 1795393297827)


def test_a_warehouse_that_was_away_is_read_again(warehouse: Part, start_amplitude: Callable[..., Part]) -> None:
    set_up(warehouse)
    amplitude = start_amplitude()
    expected = publish(warehouse, "a-", 20, "2026-11-23 10:00:00")
    wait_for_ids(amplitude, expected)
    warehouse.end(signal.SIGTERM)
    wait_for(lambda: importer(amplitude)["last_error"] is not None, "the outage is not noticed")
    assert amplitude.get("/health") == {"status": "ok"}
    warehouse.start()
    expected += publish(warehouse, "b-", 20, "2026-11-23 10:00:01")
    wait_for_ids(amplitude, expected)
    assert importer(amplitude)["last_error"] is None


def test_killed_in_the_middle_of_an_import_it_ends_complete_and_without_duplicates(
    warehouse: Part, start_amplitude: Callable[..., Part], tmp_path: Path
) -> None:
    set_up(warehouse)
    expected = publish(warehouse, "a-", 40_000, "2026-11-23 10:00:00")
    amplitude = start_amplitude()
    wait_for(lambda: amplitude.get("/_standin/stats")["events"] > 0, "nothing is imported")
    amplitude.end(signal.SIGKILL)
    with closing(sqlite3.connect(tmp_path / "vendor" / "amplitude.sqlite")) as left_behind:
        assert 0 < left_behind.execute("SELECT COUNT(*) FROM events").fetchone()[0] < 40_000
        assert left_behind.execute("SELECT * FROM import_cursor").fetchall() == []
    amplitude.start()
    wait_for(lambda: importer(amplitude)["cursor"] is not None, "the import does not end")
    assert sorted(ids(amplitude)) == sorted(expected)
    assert amplitude.get("/_standin/stats")["events"] == 40_000


def test_an_acknowledged_upload_survives_kill_9(start_amplitude: Callable[..., Part]) -> None:
    amplitude = start_amplitude(import_seconds=0)
    events = [{"device_id": "device-1", "event_type": "opened", "insert_id": f"i-{index}"} for index in range(100)]
    body = {"api_key": "key-1", "events": events}
    assert requests.post(amplitude.url + "/batch", json=body, timeout=10).status_code == 200
    amplitude.end(signal.SIGKILL)
    amplitude.start()
    assert len(ids(amplitude)) == 100
    assert requests.post(amplitude.url + "/batch", json=body, timeout=10).status_code == 200
    assert (len(ids(amplitude)), amplitude.get("/_standin/stats")["duplicates"]) == (100, 100)


def test_wrong_settings_end_the_process_with_a_sentence() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCAL_AMPLITUDE_")}
    environment["LOCAL_AMPLITUDE_CURSOR"] = "!="
    command = [sys.executable, "-m", "local.amplitude"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert "LOCAL_AMPLITUDE_API_KEY is not set" in ended.stderr
    assert "LOCAL_AMPLITUDE_CURSOR" in ended.stderr
