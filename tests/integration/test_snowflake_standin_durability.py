"""The stand-in keeps what it committed: restart, kill -9, several client processes; it starts and stops cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector.errors import Error, ProgrammingError

from local.snowflake.__main__ import main
from tests.integration.snowflake_client import connect, new_schema, run
from tests.integration.snowflake_process import SnowflakeProcess

WRITER = """
import json, os, snowflake.connector
connection = snowflake.connector.connect(**json.loads(os.environ["LOCAL_AMPLITUDE_SNOWFLAKE"]), schema="{schema}")
cursor = connection.cursor()
for number in range(100_000):
    cursor.execute("BEGIN")
    cursor.execute(f"INSERT INTO T SELECT {{number}}")
    cursor.execute("COMMIT")
    print(number, flush=True)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SnowflakeProcess]:
    with SnowflakeProcess(tmp_path / "warehouse") as process:
        yield process


def fill(server: SnowflakeProcess) -> str:
    with connect(server.endpoints) as connection:
        schema = new_schema(connection)
        run(connection, "CREATE DATABASE IF NOT EXISTS OTHER COMMENT = 'second'")
        run(connection, f"USE SCHEMA ANALYTICS.{schema}")
        run(connection, "CREATE STAGE LAKE URL = 'azure://acct.blob.core.windows.net/lake/'")
        run(connection, "CREATE TABLE T (ID VARCHAR(5) NOT NULL COMMENT 'key', V VARIANT) COMMENT = 'kept'")
        run(connection, "CREATE VIEW W AS SELECT OBJECT_PICK(V, 'a') AS \"picked\" FROM T")
        run(connection, "INSERT INTO T SELECT 'one', PARSE_JSON('{\"a\": 1, \"b\": 2}')")
        run(connection, "BEGIN")
        run(connection, "INSERT INTO T SELECT 'two', NULL")
        return schema


def check(server: SnowflakeProcess, schema: str) -> None:
    with connect(server.endpoints, schema=schema) as connection:
        assert run(connection, "SELECT ID, V:b::NUMBER FROM T") == [("one", 2)]
        assert run(connection, 'SELECT "picked" FROM W') == [('{"a":1}',)]
        comments = "SELECT COMMENT FROM INFORMATION_SCHEMA.{} WHERE TABLE_NAME = 'T' AND TABLE_SCHEMA = %s {}"
        assert run(connection, comments.format("TABLES", ""), (schema,)) == [("kept",)]
        assert run(connection, comments.format("COLUMNS", "AND COLUMN_NAME = 'ID'"), (schema,)) == [("key",)]
        with pytest.raises(ProgrammingError, match="no storage account"):
            run(connection, "LIST @LAKE")
        run(connection, "USE DATABASE OTHER")
        run(connection, "DROP DATABASE OTHER")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_committed_survives(server: SnowflakeProcess, end: signal.Signals) -> None:
    schema = fill(server)
    assert server.end(end) == (0 if end is signal.SIGTERM else -end)
    server.start()
    check(server, schema)


def test_killed_while_writing_loses_only_what_was_not_committed(server: SnowflakeProcess) -> None:
    with connect(server.endpoints) as connection:
        schema = new_schema(connection)
        run(connection, "CREATE TABLE T (N NUMBER)")
    environ = {**server.environ, **server.endpoints}
    program = [sys.executable, "-c", WRITER.format(schema=schema)]
    with subprocess.Popen(program, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as writer:
        assert writer.stdout is not None
        committed = [int(writer.stdout.readline()) for _ in range(20)]
        server.end(signal.SIGKILL)
        writer.kill()
        committed += [int(line) for line in writer.stdout]
    server.start()
    with connect(server.endpoints, schema=schema) as connection:
        kept = [int(row[0]) for row in run(connection, "SELECT N FROM T ORDER BY N")]
    assert kept[: len(committed)] == committed
    assert len(kept) <= len(committed) + 1  # a COMMIT whose answer was lost


def test_a_client_after_a_restart_is_told_to_log_in(server: SnowflakeProcess) -> None:
    connection = connect(server.endpoints, network_timeout=10)
    server.end(signal.SIGTERM)
    server.start()
    with pytest.raises(Error):
        run(connection, "SELECT 1")
    with connect(server.endpoints) as fresh:
        assert run(fresh, "SELECT 1") == [(1,)]


def test_second_server_on_the_same_folder_says_so(server: SnowflakeProcess) -> None:
    environ = {**server.environ, "LOCAL_SNOWFLAKE_PORT": "1024"}
    ended = subprocess.run(
        [sys.executable, "-m", "local.snowflake"], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "Is another stand-in running on this folder?" in ended.stderr


def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LOCAL_SNOWFLAKE_PORT", "many")
    assert main() == 1
    assert "LOCAL_SNOWFLAKE_PORT" in capsys.readouterr().err


def test_processes_share_the_database(server: SnowflakeProcess) -> None:
    with connect(server.endpoints) as connection:
        schema = new_schema(connection)
        run(connection, "CREATE TABLE T (N NUMBER)")
        program = (
            "import json, os, snowflake.connector as s\n"
            "known = json.loads(os.environ['LOCAL_AMPLITUDE_SNOWFLAKE'])\n"
            f"c = s.connect(**known, schema='{schema}')\n"
            "c.cursor().execute('INSERT INTO T SELECT 1')\n"
            "c.close()\n"
        )
        environ = {**server.environ, **server.endpoints}
        clients = [subprocess.Popen([sys.executable, "-c", program], env=environ) for _ in range(3)]
        assert [client.wait(timeout=60) for client in clients] == [0, 0, 0]
        assert run(connection, "SELECT COUNT(*) FROM T") == [(3,)]


def test_key_pair_login(server: SnowflakeProcess) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    options = {"private_key": der, "user": "PIPELINE", "role": "LOADER", "warehouse": "LOAD_WH"}
    with connect(server.endpoints, **options, session_parameters={"QUERY_TAG": "test"}) as connection:
        assert (connection.role, connection.warehouse, connection.database) == ("LOADER", "LOAD_WH", "ANALYTICS")
        found = run(connection, "SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE(), CURRENT_SCHEMA()")
        assert found == [("PIPELINE", "LOADER", "LOAD_WH", "PUBLIC")]
