"""Keeps one writer per table until its transaction ends, as Snowflake does, for the sessions of the stand-in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from local.snowflake.errors import locked

POLL_SECONDS = 0.05


class Holder(Protocol):
    """A session as the locks see it."""

    def abort_if_idle(self, idle_seconds: float) -> bool:
        """Roll the session's transaction back if nothing has run in it for so long; True when it was."""


class TableLocks:
    """Table locks taken by UPDATE, DELETE, MERGE and TRUNCATE, and who committed to which table last.

    Snowflake lets INSERT and COPY run beside other writers; everything else waits for the table. DuckDB has snapshots
    instead of locks, so the commit numbers tell a transaction that its snapshot is too old to write safely.
    """

    def __init__(self, lock_seconds: float, idle_abort_seconds: float) -> None:
        self._lock_seconds = lock_seconds
        self._idle_abort_seconds = idle_abort_seconds
        self._changed = threading.Condition()
        self._owners: dict[str, Holder] = {}
        self._commits: dict[str, tuple[int, Holder]] = {}
        self._sequence = 0

    def sequence(self) -> int:
        """Return the number of the latest commit: what a snapshot taken now has seen."""
        return self._sequence

    def acquire(self, table: str, holder: Holder, clock: Callable[[], float] = time.monotonic) -> None:
        """Wait for `table`; raises Snowflake's 000625 when another transaction keeps it too long."""
        deadline = clock() + self._lock_seconds
        while not self._take(table, holder):
            owner = self._owners.get(table)
            if owner and owner.abort_if_idle(self._idle_abort_seconds):
                continue
            if clock() >= deadline:
                message = f"Another transaction has locked table '{table}' and this lock has not yet been released. "
                raise locked(message + f"Your statement was aborted after {self._lock_seconds:g} s; retry it.")
            with self._changed:
                self._changed.wait(POLL_SECONDS)

    def _take(self, table: str, holder: Holder) -> bool:
        with self._changed:
            return self._owners.setdefault(table, holder) is holder

    def check_snapshot(self, table: str, holder: Holder, snapshot: int) -> None:
        """Raise 000625 when another session committed to `table` after this transaction's snapshot was taken."""
        sequence, by = self._commits.get(table, (0, holder))
        if sequence > snapshot and by is not holder:
            message = f"Table '{table}' was changed by another transaction after this one began reading. "
            raise locked(message + "Snowflake would let this statement see the change; here, retry the transaction.")

    def committed(self, tables: set[str], holder: Holder) -> None:
        """Remember that `holder` committed changes to `tables`."""
        with self._changed:
            self._sequence += 1
            self._commits.update(dict.fromkeys(tables, (self._sequence, holder)))

    def release(self, holder: Holder) -> None:
        """Free every table that `holder` has locked."""
        with self._changed:
            self._owners = {table: owner for table, owner in self._owners.items() if owner is not holder}
            self._changed.notify_all()
