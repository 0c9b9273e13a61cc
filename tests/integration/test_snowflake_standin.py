"""The SQL of the product and its results through the real connector: names, types, sizes, bulk inserts, errors."""

# ruff: noqa: S608 -- the statements are the tests' own

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator

import pytest
from snowflake.connector.connection import SnowflakeConnection
from snowflake.connector.errors import DatabaseError, IntegrityError, ProgrammingError

from local.stack import Stack
from tests.integration.snowflake_client import connect, execute, new_schema, run

MOMENT = dt.datetime(2026, 11, 23, 12, 30, 45, 123456)  # noqa: DTZ001 -- TIMESTAMP_NTZ has no zone

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS K (
    A VARCHAR(3) NOT NULL COMMENT 'it''s a key', D DATE, V VARIANT, Z TIMESTAMP_TZ,
    L TIMESTAMP_NTZ(6) DEFAULT SYSDATE(), PRIMARY KEY (A)
) CLUSTER BY (D) DATA_RETENTION_TIME_IN_DAYS = 7 CHANGE_TRACKING = TRUE COMMENT = 'it''s a table'
"""


@pytest.fixture(scope="module")
def opened(snowflake: Stack) -> Iterator[tuple[SnowflakeConnection, str]]:
    with connect(snowflake.endpoints) as connection:
        schema = new_schema(connection)
        run(
            connection,
            "CREATE TABLE E (ID VARCHAR, V VARIANT, TS TIMESTAMP_NTZ(6), N NUMBER(38, 0), D DATE, B BOOLEAN)",
        )
        run(
            connection,
            "INSERT INTO E SELECT 'one', PARSE_JSON(%s), '2026-11-23 12:30:45.123456', 7, '2026-11-23', TRUE "
            "UNION ALL SELECT 'none', NULL, NULL, NULL, NULL, NULL",
            (json.dumps({"key": "s", "flag": True, "n": {"x": [1, 2]}, "nil": None, "a": 1}),),
        )
        yield connection, schema


@pytest.fixture
def warehouse(opened: tuple[SnowflakeConnection, str]) -> SnowflakeConnection:
    connection, schema = opened
    run(connection, f"USE SCHEMA ANALYTICS.{schema}")  # CREATE SCHEMA has changed it, as in Snowflake
    return connection


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE DATABASE IF NOT EXISTS ANALYTICS COMMENT = 'it''s the database'",
        "CREATE SCHEMA IF NOT EXISTS ANALYTICS.EXTRA WITH MANAGED ACCESS COMMENT = 'x'",
        "CREATE TRANSIENT SCHEMA IF NOT EXISTS ANALYTICS.EXTRA DATA_RETENTION_TIME_IN_DAYS = 0",
        "CREATE WAREHOUSE IF NOT EXISTS W WAREHOUSE_SIZE = 'XSMALL' AUTO_SUSPEND = 60 AUTO_RESUME = TRUE COMMENT = 'x'",
        "ALTER WAREHOUSE IF EXISTS W SET WAREHOUSE_SIZE = SMALL",
        "DROP WAREHOUSE IF EXISTS W",
        "CREATE ROLE IF NOT EXISTS LOADER COMMENT = 'x'",
        "CREATE USER IF NOT EXISTS PIPELINE RSA_PUBLIC_KEY = 'x' DEFAULT_ROLE = LOADER",
        "GRANT USAGE, CREATE TABLE ON SCHEMA ANALYTICS.EXTRA TO ROLE LOADER",
        "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA ANALYTICS.EXTRA TO ROLE LOADER",
        "GRANT SELECT ON FUTURE TABLES IN SCHEMA ANALYTICS.EXTRA TO ROLE LOADER",
        "GRANT ROLE LOADER TO ROLE SYSADMIN",
        "REVOKE SELECT ON TABLE E FROM ROLE LOADER",
        "USE ROLE LOADER",
        "USE WAREHOUSE W",
        "USE SECONDARY ROLES ALL",
        "ALTER SESSION SET TIMEZONE = 'UTC'",
        "ALTER SESSION SET QUERY_TAG = 'load' LOCK_TIMEOUT = 60",
        "ALTER SESSION UNSET QUERY_TAG",
        CREATE_TABLE,
        "ALTER TABLE E SET CHANGE_TRACKING = TRUE",
        "ALTER TABLE E SET DATA_RETENTION_TIME_IN_DAYS = 3",
        "ALTER TABLE E ADD COLUMN IF NOT EXISTS LATER VARCHAR",
        "CREATE OR REPLACE TRANSIENT TABLE E2 LIKE E",
        "CREATE OR REPLACE TRANSIENT TABLE E3 (X NUMBER) DATA_RETENTION_TIME_IN_DAYS = 0 COMMENT = 'x'",
        'CREATE OR REPLACE VIEW W1 COMMENT = \'x\' AS SELECT ID AS "user_id", V AS "event properties" FROM E',
        "COMMENT ON COLUMN E.ID IS 'it''s the id'",
        "COMMENT ON TABLE E IS 'it''s a table'",
        "TRUNCATE TABLE IF EXISTS NOTHING",
    ],
)
def test_ddl_is_accepted_and_repeatable(warehouse: SnowflakeConnection, statement: str) -> None:
    run(warehouse, statement)
    run(warehouse, statement)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("V:key::STRING", "s"),
        ("V:flag::BOOLEAN", True),
        ("V:n.x[1]::NUMBER", 2),
        ("V['key']::VARCHAR", "s"),
        ("V:missing::STRING", None),
        ("V:nil IS NULL", False),
        ("V:nil::STRING", None),
        ("V:key = 's'", True),
        ("V:key IN ('r', 's')", True),
        ("TRY_PARSE_JSON('{')", None),
        ("PARSE_JSON('')", None),
        ("TYPEOF(V:n)", "OBJECT"),
        ("OBJECT_PICK(V, 'a', 'key', 'missing')", {"a": 1, "key": "s"}),
        ("OBJECT_PICK(V, PARSE_JSON('[\"a\"]'))", {"a": 1}),
        ("OBJECT_DELETE(V, 'n', 'nil', 'flag')", {"key": "s", "a": 1}),
        ("OBJECT_INSERT(OBJECT_PICK(V, 'a'), 'b', 2)", {"a": 1, "b": 2}),
        ("OBJECT_CONSTRUCT('a', 1, 'gone', NULL, 'in', OBJECT_CONSTRUCT('k', V:key))", {"a": 1, "in": {"k": "s"}}),
        ("OBJECT_CONSTRUCT_KEEP_NULL('a', NULL)", {"a": None}),
        ("ARRAY_CONTAINS(2::VARIANT, V:n.x)", True),
        ("IFF(N > 5, 'many', 'few')", "many"),
        ("DATE_PART(EPOCH_MILLISECOND, TS)", 1795437045123),
        ("DATEADD(MICROSECOND, 1, TS)", MOMENT + dt.timedelta(microseconds=1)),
        ("DATEDIFF('second', '2026-11-23 12:30:00'::TIMESTAMP_NTZ, TS)", 45),
        ("GREATEST(TS, '2020-01-01'::TIMESTAMP_NTZ)", MOMENT),
        ("GREATEST(1, NULL)", None),
        ("TO_TIMESTAMP_NTZ(1795437045123456, 6)", MOMENT),
        ("TRY_TO_TIMESTAMP_NTZ('no time')", None),
        ("TO_VARCHAR(TO_BINARY('grün', 'UTF-8'), 'UTF-8')", "grün"),
        ("TO_CHAR(TS, 'YYYY-MM-DD\"T\"HH24:MI:SS')", "2026-11-23T12:30:45"),
        ("SHA2('x', 256)", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
        ("TO_DATE(TS)", dt.date(2026, 11, 23)),
        ("N / 2", 3.5),
    ],
)
def test_expression(warehouse: SnowflakeConnection, expression: str, expected: object) -> None:
    value = run(warehouse, f"SELECT {expression} AS X FROM E WHERE ID = 'one'")[0][0]
    assert (json.loads(value) if isinstance(expected, dict) else value) == expected


def test_aggregates_are_whole_numbers_and_null_stays_null(warehouse: SnowflakeConnection) -> None:
    found = run(warehouse, "SELECT COUNT(*), SUM(N), COUNT_IF(N > 5), MIN(TS), MAX(D) FROM E")
    assert found == [(2, 7, 1, MOMENT, dt.date(2026, 11, 23))]
    assert isinstance(found[0][1], int)
    assert run(warehouse, "SELECT COUNT_IF(B), SUM(N), MIN(TS) FROM E WHERE ID = 'absent'") == [(0, None, None)]
    assert run(warehouse, "SELECT * FROM E WHERE ID = 'none'")[0][:6] == ("none", None, None, None, None, None)


def test_view_keeps_quoted_names(warehouse: SnowflakeConnection) -> None:
    run(warehouse, 'CREATE OR REPLACE VIEW NAMES AS SELECT ID AS "user_id", TS AS "update_time_column" FROM E')
    with warehouse.cursor() as cursor:
        execute(cursor, 'SELECT v."user_id", v."update_time_column" FROM NAMES v WHERE v."user_id" = \'one\'')
        assert [column.name for column in cursor.description] == ["user_id", "update_time_column"]
        assert cursor.fetchall() == [("one", MOMENT)]


def test_comments_can_be_read(warehouse: SnowflakeConnection) -> None:
    run(warehouse, "CREATE OR REPLACE TABLE COMMENTED (A VARCHAR COMMENT 'it''s', B VARCHAR) COMMENT = 'that''s'")
    where = "WHERE TABLE_NAME = 'COMMENTED' AND TABLE_SCHEMA = CURRENT_SCHEMA()"
    query = f"SELECT COLUMN_NAME, COMMENT FROM INFORMATION_SCHEMA.COLUMNS {where} ORDER BY 1"
    assert run(warehouse, query) == [("A", "it's"), ("B", None)]
    table = run(
        warehouse,
        f"SELECT COMMENT, CREATED > DATEADD(HOUR, -1, CURRENT_TIMESTAMP()) FROM INFORMATION_SCHEMA.TABLES {where}",
    )
    assert table == [("that's", True)]


@pytest.mark.parametrize(
    ("statement", "errno"),
    [
        ("SELECT * FROM NOWHERE", 2003),
        ("SELECT * FROM ANALYTICS.NOWHERE.T", 2003),
        ("SELECT NOTHING FROM E", 904),
        ("SELEC 1", 1003),
        ("SELECT NO_SUCH_FUNCTION(1)", 2003),
        ("CREATE TABLE E (X NUMBER)", 2002),
        ("INSERT INTO E (N) SELECT 'seven'", 100038),
        ("INSERT INTO E (ID, V) VALUES ('x', PARSE_JSON('{}'))", 2014),
        ("INSERT INTO E (ID, V) SELECT 'x', '{}'", 2023),
        ("INSERT INTO LIMITED VALUES ('four')", 100078),
        ("INSERT INTO LIMITED VALUES (NULL)", 100072),
        ("SELECT PARSE_JSON('{')", 100069),
        ("SELECT 1 / (N - 7) FROM E", 100051),
        ("ALTER SESSION SET TIMEZONE = 'Europe/Berlin'", 9999),
        ("ALTER SESSION SET NO_SUCH_PARAMETER = 1", 1420),
        ("ALTER TABLE NOWHERE SET CHANGE_TRACKING = TRUE", 2003),
        ("GIBBERISH SQL THAT NOBODY KNOWS", 1003),
    ],
)
def test_errors_have_snowflakes_numbers_and_are_not_retried(
    warehouse: SnowflakeConnection, statement: str, errno: int
) -> None:
    run(warehouse, "CREATE TABLE IF NOT EXISTS LIMITED (A VARCHAR(3) NOT NULL)")
    started = time.monotonic()
    with pytest.raises(DatabaseError) as raised:
        run(warehouse, statement)
    assert raised.value.errno == errno
    assert time.monotonic() - started < 5


def test_keys_are_noted_not_enforced(warehouse: SnowflakeConnection) -> None:
    run(warehouse, "CREATE OR REPLACE TABLE KEYED (A VARCHAR PRIMARY KEY, B VARCHAR UNIQUE)")
    run(warehouse, "INSERT INTO KEYED VALUES ('x', 'y'), ('x', 'y')")
    with pytest.raises(IntegrityError) as raised:
        run(warehouse, "INSERT INTO KEYED VALUES (NULL, 'y')")
    assert raised.value.errno == 100072


@pytest.mark.parametrize("style", ["pyformat", "qmark"])
def test_many_rows_in_one_insert(snowflake: Stack, warehouse: SnowflakeConnection, style: str) -> None:
    schema = run(warehouse, "SELECT CURRENT_SCHEMA()")[0][0]
    rows = [
        (f'it\'s {n}\n\\ "q" ;--', n, MOMENT + dt.timedelta(seconds=n), bool(n % 2), n / 4, dt.date(2026, 1, 1))
        for n in range(5000)
    ]
    marks = ", ".join(["%s" if style == "pyformat" else "?"] * 6)
    with connect(snowflake.endpoints, schema=schema, paramstyle=style) as connection, connection.cursor() as cursor:
        execute(
            cursor, "CREATE OR REPLACE TABLE BULK (S VARCHAR, N NUMBER, T TIMESTAMP_NTZ, B BOOLEAN, F FLOAT, D DATE)"
        )
        started = time.monotonic()
        cursor.executemany(f"INSERT INTO BULK (S, N, T, B, F, D) VALUES ({marks})", rows)
        assert time.monotonic() - started < 10
        assert cursor.rowcount == len(rows)
        assert execute(cursor, "SELECT S, N, T, B, F, D FROM BULK ORDER BY N").fetchall() == rows


def test_bound_values(snowflake: Stack) -> None:
    with connect(snowflake.endpoints, paramstyle="qmark") as connection:
        values = ("it's", 7, 1.5, True, MOMENT, dt.date(2026, 1, 1), None)
        marks = ", ".join("?" for _ in values)
        assert run(connection, f"SELECT {marks}", values) == [values]
    with connect(snowflake.endpoints) as connection:
        assert run(connection, "SELECT %(text)s, %(number)s", {"text": "it's \\ %", "number": 7}) == [("it's \\ %", 7)]


def test_large_results_by_every_way_of_fetching(warehouse: SnowflakeConnection) -> None:
    query = "SELECT SEQ4() AS N, 'text ' || SEQ4() AS S, SYSDATE() AS T FROM TABLE(GENERATOR(ROWCOUNT => 120000))"
    with warehouse.cursor() as cursor:
        assert len(execute(cursor, query).fetchall()) == 120_000
        table = execute(cursor, query).fetch_arrow_all()
        assert table is not None
        assert table.num_rows == 120_000
        execute(cursor, query)
        assert sum(len(cursor.fetchmany(50_000)) for _ in range(3)) == 120_000


def test_session_without_its_database_or_schema(snowflake: Stack) -> None:
    with connect(snowflake.endpoints, database="ABSENT") as connection:
        with pytest.raises(ProgrammingError) as raised:
            run(connection, "SELECT * FROM T")
        assert raised.value.errno == 90105
    with connect(snowflake.endpoints, schema="ABSENT") as connection:
        with pytest.raises(ProgrammingError) as raised:
            run(connection, "SELECT * FROM T")
        assert raised.value.errno == 90106
        run(connection, "CREATE SCHEMA IF NOT EXISTS ANALYTICS.CREATED_LATER")
        assert run(connection, "SELECT CURRENT_SCHEMA()") == [("CREATED_LATER",)]


def test_view_of_another_database_works_without_a_current_one(snowflake: Stack, warehouse: SnowflakeConnection) -> None:
    schema = run(warehouse, "SELECT CURRENT_SCHEMA()")[0][0]
    run(warehouse, "CREATE OR REPLACE VIEW PICKED AS SELECT OBJECT_CONSTRUCT('id', ID) AS O, N::STRING AS S FROM E")
    with connect(snowflake.endpoints, database=None) as connection:
        found = run(connection, f"SELECT O:id::STRING, S FROM ANALYTICS.{schema}.PICKED WHERE S IS NOT NULL")
    assert found == [("one", "7")]
