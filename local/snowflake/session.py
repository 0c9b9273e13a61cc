"""One client session of the stand-in: fakesnow's connection with transactions, table locks and idle time."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb
import pyarrow as pa
from fakesnow.conn import FakeSnowflakeConnection
from snowflake.connector.cursor import SnowflakeCursor

from local.snowflake.cursor import Cursor
from local.snowflake.ddl import DEFAULT_SCHEMA
from local.snowflake.errors import locked
from local.snowflake.lake import Lake
from local.snowflake.locks import TableLocks
from local.snowflake.transaction import Transaction


class Session(FakeSnowflakeConnection):
    """What one login owns: current database and schema, and a transaction; one request at a time uses it."""

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        results_cache: dict[str, tuple[object, ...]],
        database: str | None,
        schema: str | None,
        *,
        db_path: str | os.PathLike[str] | None,
        autocommit: bool,
        locks: TableLocks,
        lake: Lake,
    ) -> None:
        # A database or schema that does not exist leaves it unset, as in Snowflake.
        super().__init__(
            duck, results_cache, database, schema, create_database=False, create_schema=False, db_path=db_path
        )
        self.duck = duck
        self.lake = lake
        self.busy = threading.RLock()
        self.transaction = Transaction(duck, locks, self)
        self.transaction.autocommit = autocommit
        self.parameters: dict[str, str] = {}
        self.context = {"ACCOUNT": "LOCAL", "SESSION": str(id(self)), "USER": "LOCAL", "ROLE": "SYSADMIN"}
        self.last_used = time.monotonic()
        self.statement_micros = 0
        if self.database_set and not self.schema_set and not self.schema:
            self._use_default_schema()

    def _use_default_schema(self) -> None:
        """Snowflake puts a session that names only a database into its schema PUBLIC."""
        query = "SELECT 1 FROM information_schema.schemata WHERE catalog_name = ? AND schema_name = ?"
        if self.duck.execute(query, [self.database, DEFAULT_SCHEMA]).fetchone():
            self.duck.execute(f'SET schema = \'"{self.database}"."{DEFAULT_SCHEMA}"\'')
            self._schema = DEFAULT_SCHEMA
            self.schema_set = True

    def cursor(self, cursor_class: type[SnowflakeCursor] = SnowflakeCursor) -> Cursor:  # noqa: ARG002 -- fakesnow's
        """Return a cursor that runs statements under this session's transaction."""
        return Cursor(conn=self, duck_conn=self.duck)

    def autocommit(self, mode: bool) -> None:  # noqa: FBT001 -- fakesnow's signature
        """Switch autocommit; Snowflake commits an open transaction when it is switched on."""
        if mode:
            self.transaction.commit()
        self.transaction.autocommit = mode

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let one statement at a time run in this session."""
        with self.busy:
            self.statement_micros = time.time_ns() // 1000
            try:
                yield
            finally:
                self.last_used = time.monotonic()

    def hold_rows(self, rows: pa.Table) -> str:
        """Make `rows` readable for the next statement, and return the name of the table they are in."""
        with self.busy:
            name = f"_fs_rows_{uuid.uuid4().hex}".upper()
            self.duck.register(name, rows)
            return f"TEMP.MAIN.{name}"

    def forget_rows(self, table: str) -> None:
        """Drop rows that were held for a statement."""
        with self.busy, suppress(duckdb.Error):  # gone already when the transaction was rolled back
            self.duck.unregister(table.rpartition(".")[2])

    def abort_if_idle(self, idle_seconds: float) -> bool:
        """Roll back a transaction that is idle and in somebody's way, as Snowflake does after five minutes."""
        if not self.busy.acquire(blocking=False):
            return False
        try:
            idle = time.monotonic() - self.last_used
            if not self.transaction.is_open or idle < idle_seconds:
                return False
            reason = f"it was idle for {idle:.0f} s while another transaction waited for its table."
            self.transaction.abort(locked(f"Transaction was rolled back: {reason} Start it again."))
            return True
        finally:
            self.busy.release()

    def interrupt(self) -> None:
        """Cancel the statement that is running, from another thread."""
        self.duck.interrupt()

    def close(self, retry: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 -- fakesnow's signature
        """End the session: Snowflake rolls its open transaction back."""
        with self.busy:
            self.transaction.rollback()
            super().close()
