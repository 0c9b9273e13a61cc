"""Sessions of the stand-in as clients use them: Airflow's hook, cancelled statements, requests sent twice."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from collections.abc import Iterator

import pytest
from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook
from snowflake.connector.connection import SnowflakeConnection
from snowflake.connector.errors import DatabaseError

from local.stack import Stack
from tests.integration.snowflake_client import connect, new_schema, run


@pytest.fixture
def warehouse(snowflake: Stack) -> Iterator[SnowflakeConnection]:
    with connect(snowflake.endpoints) as connection:
        new_schema(connection)
        yield connection


class PlainHttpHook(SnowflakeHook):
    """Airflow's hook; it hands host and port of the connection on, but not `protocol`."""

    def _get_conn_params(self) -> dict[str, str | None]:
        return {**super()._get_conn_params(), "protocol": "http"}


def test_airflows_hook(snowflake: Stack, warehouse: SnowflakeConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", snowflake.endpoints["AIRFLOW_CONN_WAREHOUSE"])
    hook = PlainHttpHook(snowflake_conn_id="warehouse", schema=run(warehouse, "SELECT CURRENT_SCHEMA()")[0][0])
    hook.run(["CREATE OR REPLACE TABLE HOOKED (A NUMBER, B VARCHAR)", "INSERT INTO HOOKED VALUES (1, 'x')"])
    hook.insert_rows("HOOKED", [(2, "y"), (3, "it's")], target_fields=["A", "B"])
    assert hook.get_records("SELECT A, B FROM HOOKED ORDER BY A") == [(1, "x"), (2, "y"), (3, "it's")]
    assert hook.get_first("SELECT COUNT(*) FROM HOOKED WHERE A > %s", parameters=(1,)) == (2,)


def test_a_statement_can_be_cancelled(warehouse: SnowflakeConnection) -> None:
    slow = "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 100000)) a, TABLE(GENERATOR(ROWCOUNT => 10000000)) b"
    started = time.monotonic()
    with warehouse.cursor() as cursor, pytest.raises(DatabaseError) as raised:
        cursor.execute(slow, timeout=2)
    assert raised.value.errno == 604
    assert time.monotonic() - started < 30
    assert run(warehouse, "SELECT 1") == [(1,)]


def test_a_repeated_request_runs_once(warehouse: SnowflakeConnection) -> None:
    """A client whose line broke sends its request again, with the same id."""
    run(warehouse, "CREATE OR REPLACE TABLE ONCE (N NUMBER)")
    rest = warehouse.rest
    assert rest is not None
    body = json.dumps({"sqlText": "INSERT INTO ONCE SELECT 1"}).encode()
    url = f"http://{warehouse.host}:{warehouse.port}/queries/v1/query-request?requestId={uuid.uuid4()}"
    headers = {"Authorization": f'Snowflake Token="{rest.token}"', "Content-Type": "application/json"}
    answers = []
    for _ in range(3):
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            answers.append(json.load(answer)["data"]["queryId"])
    assert len(set(answers)) == 1
    assert run(warehouse, "SELECT COUNT(*) FROM ONCE") == [(1,)]
