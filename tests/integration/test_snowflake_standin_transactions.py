"""MERGE and transactions of the stand-in: one statement, exact counts, rollback, locks, and no lie at COMMIT."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from snowflake.connector.connection import SnowflakeConnection
from snowflake.connector.errors import ProgrammingError

from tests.integration.snowflake_client import connect, execute, new_schema, run
from tests.integration.snowflake_process import SnowflakeProcess

LOCK_SECONDS, IDLE_SECONDS = 3.0, 1.0
UPSERT = (
    "MERGE INTO T USING (SELECT column1 AS K, column2 AS V FROM VALUES {rows}) s ON T.K = s.K "
    "WHEN MATCHED THEN UPDATE SET T.V = s.V WHEN NOT MATCHED THEN INSERT (K, V) VALUES (s.K, s.V)"
)
INSERT_ONLY = (
    "MERGE INTO T t USING (SELECT column1 AS K, column2 AS V FROM VALUES {rows} "
    "QUALIFY ROW_NUMBER() OVER (PARTITION BY column1 ORDER BY column2) = 1) s ON t.K IN (1, 2, 3) AND t.K = s.K "
    "WHEN NOT MATCHED THEN INSERT (K, V) VALUES (s.K, s.V)"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeProcess]:
    folder: Path = tmp_path_factory.mktemp("warehouse")
    settings = {
        "LOCAL_SNOWFLAKE_LOCK_SECONDS": str(LOCK_SECONDS),
        "LOCAL_SNOWFLAKE_IDLE_ABORT_SECONDS": str(IDLE_SECONDS),
    }
    with SnowflakeProcess(folder, **settings) as process:
        yield process


@pytest.fixture
def sessions(server: SnowflakeProcess) -> Iterator[Callable[..., SnowflakeConnection]]:
    opened: list[SnowflakeConnection] = []

    def open_session(schema: str | None = None, **options: object) -> SnowflakeConnection:
        opened.append(connect(server.endpoints, schema=schema, **options))
        return opened[-1]

    yield open_session
    for connection in opened:
        connection.close()


@pytest.fixture
def one(sessions: Callable[..., SnowflakeConnection]) -> SnowflakeConnection:
    connection = sessions()
    new_schema(connection)
    run(connection, "CREATE TABLE T (K NUMBER, V VARCHAR)")
    run(connection, "INSERT INTO T VALUES (1, 'a')")
    return connection


@pytest.fixture
def two(one: SnowflakeConnection, sessions: Callable[..., SnowflakeConnection]) -> SnowflakeConnection:
    return sessions(run(one, "SELECT CURRENT_SCHEMA()")[0][0])


def rows(connection: SnowflakeConnection) -> list[tuple[int, str]]:
    return [(int(key), value) for key, value in run(connection, "SELECT K, V FROM T ORDER BY K, V")]


def test_merge_answers_the_counts_of_each_kind(one: SnowflakeConnection) -> None:
    with one.cursor() as cursor:
        execute(cursor, UPSERT.format(rows="(1, 'x'), (2, 'y'), (3, 'z')"))
        assert [column.name for column in cursor.description] == ["number of rows inserted", "number of rows updated"]
        assert cursor.fetchall() == [(2, 1)]
        assert cursor.rowcount == 3
    assert rows(one) == [(1, "x"), (2, "y"), (3, "z")]


def test_merge_that_only_inserts(one: SnowflakeConnection) -> None:
    assert run(one, INSERT_ONLY.format(rows="(1, 'b'), (2, 'c'), (2, 'd')")) == [(1,)]
    assert rows(one) == [(1, "a"), (2, "c")]
    assert run(one, INSERT_ONLY.format(rows="(1, 'b'), (2, 'c')")) == [(0,)]


def test_merge_with_conditions_and_delete(one: SnowflakeConnection) -> None:
    run(one, "INSERT INTO T VALUES (2, 'b'), (3, 'c')")
    merged = run(
        one,
        "MERGE INTO T USING (SELECT column1 AS K, column2 AS GONE FROM VALUES "
        "(1, TRUE), (2, FALSE), (9, TRUE), (8, FALSE)) s ON T.K = s.K "
        "WHEN MATCHED AND s.GONE THEN DELETE WHEN MATCHED THEN UPDATE SET V = T.V || '!' "
        "WHEN NOT MATCHED AND NOT s.GONE THEN INSERT VALUES (s.K, 'new')",
    )
    assert merged == [(1, 1, 1)]
    assert rows(one) == [(2, "b!"), (3, "c"), (8, "new")]


def test_several_source_rows_for_one_target_row_are_an_error(one: SnowflakeConnection) -> None:
    with pytest.raises(ProgrammingError) as raised:
        run(one, UPSERT.format(rows="(1, 'x'), (1, 'y')"))
    assert raised.value.errno == 100090
    assert rows(one) == [(1, "a")]


def test_transaction_commits_and_rolls_back_as_a_whole(one: SnowflakeConnection, two: SnowflakeConnection) -> None:
    run(one, "BEGIN TRANSACTION")
    run(one, UPSERT.format(rows="(1, 'x'), (2, 'y')"))
    run(one, "INSERT INTO T SELECT 3, 'z'")
    assert rows(one) == [(1, "x"), (2, "y"), (3, "z")]
    assert rows(two) == [(1, "a")]
    run(one, "ROLLBACK")
    assert rows(one) == [(1, "a")]
    run(one, "BEGIN")
    run(one, INSERT_ONLY.format(rows="(2, 'y')"))
    run(one, "COMMIT")
    assert rows(two) == [(1, "a"), (2, "y")]


def test_commit_after_a_failed_statement_is_an_error(one: SnowflakeConnection, two: SnowflakeConnection) -> None:
    run(one, "BEGIN")
    run(one, "INSERT INTO T VALUES (2, 'b')")
    with pytest.raises(ProgrammingError) as first:
        run(one, "INSERT INTO T SELECT 'not a number', 'c'")
    assert first.value.errno == 100038
    with pytest.raises(ProgrammingError, match="rolled back") as second:
        run(one, "INSERT INTO T VALUES (4, 'd')")
    assert second.value.errno == 90232
    with pytest.raises(ProgrammingError, match="rolled back"):
        run(one, "COMMIT")
    assert rows(two) == [(1, "a")]
    run(one, "INSERT INTO T VALUES (5, 'e')")
    assert rows(two) == [(1, "a"), (5, "e")]


def test_statement_that_does_not_parse_leaves_the_transaction_open(one: SnowflakeConnection) -> None:
    run(one, "BEGIN")
    run(one, "INSERT INTO T VALUES (2, 'b')")
    with pytest.raises(ProgrammingError):
        run(one, "INSERT INTO TO T")
    run(one, "COMMIT")
    assert rows(one) == [(1, "a"), (2, "b")]


def test_ddl_commits_what_is_open(one: SnowflakeConnection) -> None:
    run(one, "BEGIN")
    run(one, "INSERT INTO T VALUES (2, 'b')")
    run(one, "CREATE TABLE OTHER (X NUMBER) COMMENT = 'it''s new'")
    run(one, "ROLLBACK")
    assert rows(one) == [(1, "a"), (2, "b")]


def test_truncate_is_part_of_the_transaction(one: SnowflakeConnection) -> None:
    run(one, "BEGIN")
    run(one, "TRUNCATE TABLE IF EXISTS T")
    assert rows(one) == []
    run(one, "ROLLBACK")
    assert rows(one) == [(1, "a")]


def test_without_autocommit_the_first_change_begins_a_transaction(
    sessions: Callable[..., SnowflakeConnection], one: SnowflakeConnection
) -> None:
    other = sessions(run(one, "SELECT CURRENT_SCHEMA()")[0][0], autocommit=False)
    run(other, "INSERT INTO T VALUES (2, 'b')")
    assert rows(one) == [(1, "a")]
    other.rollback()
    run(other, "INSERT INTO T VALUES (3, 'c')")
    other.commit()
    assert rows(one) == [(1, "a"), (3, "c")]


def test_second_writer_waits_and_sees_what_the_first_committed(
    one: SnowflakeConnection, two: SnowflakeConnection
) -> None:
    run(one, "BEGIN")
    run(one, INSERT_ONLY.format(rows="(1, 'b'), (2, 'one')"))
    result: list[object] = []
    run(two, "BEGIN")
    writer = threading.Thread(target=lambda: result.extend(run(two, INSERT_ONLY.format(rows="(2, 'two'), (3, 'two')"))))
    writer.start()
    time.sleep(0.5)
    assert not result
    run(one, "COMMIT")
    writer.join(timeout=10)
    run(two, "COMMIT")
    assert result == [(1,)]
    assert rows(one) == [(1, "a"), (2, "one"), (3, "two")]


def test_a_lock_kept_too_long_is_an_error_to_retry(one: SnowflakeConnection, two: SnowflakeConnection) -> None:
    stop = threading.Event()

    def keep_busy() -> None:
        run(one, "BEGIN")
        run(one, "UPDATE T SET V = 'mine'")
        while not stop.wait(0.2):
            run(one, "SELECT COUNT(*) FROM T")

    holder = threading.Thread(target=keep_busy)
    holder.start()
    time.sleep(1)
    with pytest.raises(ProgrammingError, match="has locked table") as raised:
        run(two, "DELETE FROM T")
    stop.set()
    holder.join(timeout=10)
    assert (raised.value.errno, raised.value.sqlstate) == (625, "57014")
    run(one, "COMMIT")
    assert rows(two) == [(1, "mine")]


def test_an_idle_transaction_in_the_way_is_rolled_back(one: SnowflakeConnection, two: SnowflakeConnection) -> None:
    run(one, "BEGIN")
    run(one, "UPDATE T SET V = 'mine'")
    started = time.monotonic()
    run(two, "UPDATE T SET V = 'theirs'")
    assert time.monotonic() - started < LOCK_SECONDS
    with pytest.raises(ProgrammingError, match="idle"):
        run(one, "COMMIT")
    assert rows(one) == [(1, "theirs")]


def test_an_old_snapshot_never_writes(one: SnowflakeConnection, two: SnowflakeConnection) -> None:
    run(one, "BEGIN")
    assert rows(one) == [(1, "a")]
    run(two, INSERT_ONLY.format(rows="(2, 'two')"))
    with pytest.raises(ProgrammingError, match="changed by another transaction") as raised:
        run(one, INSERT_ONLY.format(rows="(2, 'one')"))
    assert raised.value.errno == 625
    run(one, "ROLLBACK")
    assert rows(one) == [(1, "a"), (2, "two")]


def test_closing_a_session_rolls_back_and_frees_its_locks(one: SnowflakeConnection, two: SnowflakeConnection) -> None:
    run(one, "BEGIN")
    run(one, "UPDATE T SET V = 'mine'")
    one.close()
    run(two, "UPDATE T SET V = V || '!'")
    assert rows(two) == [(1, "a!")]


def test_inserts_do_not_wait_for_one_another(one: SnowflakeConnection, two: SnowflakeConnection) -> None:
    run(one, "BEGIN")
    run(one, "INSERT INTO T VALUES (2, 'one')")
    run(two, "INSERT INTO T VALUES (2, 'two')")
    run(one, "COMMIT")
    assert rows(two) == [(1, "a"), (2, "one"), (2, "two")]


def test_time_is_the_statements_not_the_transactions(one: SnowflakeConnection) -> None:
    run(one, "BEGIN")
    first = run(one, "SELECT SYSDATE()")[0][0]
    time.sleep(0.05)
    assert run(one, "SELECT SYSDATE()")[0][0] > first
    run(one, "COMMIT")


def test_many_sessions_count_exactly(one: SnowflakeConnection, sessions: Callable[..., SnowflakeConnection]) -> None:
    schema = run(one, "SELECT CURRENT_SCHEMA()")[0][0]
    run(one, "CREATE TABLE COUNTER (N NUMBER)")
    run(one, "INSERT INTO COUNTER VALUES (0)")
    connections = [sessions(schema) for _ in range(4)]

    def count(connection: SnowflakeConnection) -> None:
        for _ in range(5):
            run(connection, "BEGIN")
            run(connection, "UPDATE COUNTER SET N = N + 1")
            run(connection, "INSERT INTO T VALUES (7, 'seven')")
            run(connection, "COMMIT")

    threads = [threading.Thread(target=count, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert run(one, "SELECT N FROM COUNTER") == [(20,)]
    assert run(one, "SELECT COUNT(*) FROM T WHERE K = 7") == [(20,)]


def test_dedupe_of_a_table_also_inside_the_transaction_that_filled_it(one: SnowflakeConnection) -> None:
    run(one, "CREATE TABLE LANDED (K NUMBER, V VARCHAR, SEEN NUMBER)")
    run(one, "INSERT INTO LANDED VALUES (2, 'late', 2), (2, 'early', 1), (1, 'known', 1)")
    run(one, "BEGIN")
    run(one, "INSERT INTO LANDED VALUES (2, 'earliest', 0), (3, 'skipped', 1), (4, 'no time', NULL), (4, 'time', 9)")
    merged = run(
        one,
        "MERGE INTO T t USING (SELECT * FROM LANDED WHERE K <> 3 "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY K ORDER BY SEEN) = 1) s ON t.K = s.K "
        "WHEN NOT MATCHED THEN INSERT (K, V) VALUES (s.K, s.V)",
    )
    run(one, "COMMIT")
    assert merged == [(2,)]
    assert rows(one) == [(1, "a"), (2, "earliest"), (4, "time")]
    ranked = "SELECT K, ROW_NUMBER() OVER (ORDER BY K, V) AS R FROM LANDED QUALIFY R <= 2 ORDER BY R"
    assert run(one, ranked) == [(1, 1), (2, 2)]
