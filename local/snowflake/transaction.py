"""One session's transaction: Snowflake's rules for BEGIN, COMMIT, implicit commits and failed statements, on DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from snowflake.connector.errors import ProgrammingError

from local.snowflake.errors import aborted
from local.snowflake.locks import Holder, TableLocks
from local.snowflake.statements import Kind


class Transaction:
    """The explicit or implicit transaction of one session, over its DuckDB connection."""

    def __init__(self, duck: duckdb.DuckDBPyConnection, locks: TableLocks, holder: Holder) -> None:
        self._duck = duck
        self._locks = locks
        self._holder = holder
        self._written: set[str] = set()
        self._snapshot: int | None = None
        self._failure: ProgrammingError | None = None
        self.autocommit = True
        self.is_open = False

    def begin(self) -> None:
        """Open a transaction; inside one it is ignored, as in Snowflake."""
        if self.is_open:
            return
        self._duck.begin()
        self.is_open = True

    def commit(self) -> None:
        """Commit what is open; raises where a statement of the transaction failed or the commit itself does."""
        if not self.is_open:
            return
        if self._failure:
            failure = self._failure
            self.rollback()
            raise failure
        try:
            self._duck.commit()
        except duckdb.Error:
            self.rollback()
            raise
        self._locks.committed(self._written, self._holder)
        self._reset()

    def rollback(self) -> None:
        """Undo what is open; without a transaction it is ignored, as in Snowflake."""
        if self.is_open and not self._failure:
            self._undo()
        self._reset()

    def abort(self, failure: ProgrammingError) -> None:
        """Undo the transaction and free its locks; what the session sends next gets `failure`, until it rolls back."""
        self._undo()
        self._failure = failure
        self._locks.release(self._holder)

    @contextmanager
    def statement(self, kind: Kind, writes: str | None, *, locks: bool) -> Iterator[None]:
        """Run one statement other than BEGIN, COMMIT and ROLLBACK that `writes` a table, with or without its lock."""
        if kind is Kind.DDL:
            self.commit()
        if self._failure:
            raise self._failure
        if kind is Kind.DML and not self.autocommit:
            self.begin()
        try:
            self._prepare(writes, locks=locks)
            yield
        except Exception as error:
            self._fail(error)
            raise
        if writes:
            self._written.add(writes)
        if not self.is_open:
            self._locks.committed(self._written, self._holder)
            self._reset()

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Make what several DuckDB statements do one Snowflake statement, inside a transaction or not."""
        if self.is_open:
            yield
            return
        self._duck.begin()
        try:
            yield
        except BaseException:
            self._undo()
            raise
        self._duck.commit()

    def _prepare(self, writes: str | None, *, locks: bool) -> None:
        if writes and locks:
            self._locks.acquire(writes, self._holder)
        if self._snapshot is None:
            self._snapshot = self._locks.sequence()
        elif writes and locks:
            self._locks.check_snapshot(writes, self._holder, self._snapshot)

    def _fail(self, error: Exception) -> None:
        if self.is_open:
            self.abort(aborted(f"a statement in it failed ({str(error).splitlines()[0][:200]})."))
        else:
            self._reset()

    def _undo(self) -> None:
        try:
            self._duck.rollback()
        except duckdb.TransactionException:
            return  # DuckDB has already rolled back, as after a failed COMMIT

    def _reset(self) -> None:
        self.is_open = False
        self._failure = None
        self._snapshot = None
        self._written = set()
        self._locks.release(self._holder)
