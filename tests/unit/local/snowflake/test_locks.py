"""Table locks with a clock of the test's: one owner, a bounded wait, idle owners give way, old snapshots are seen."""

from __future__ import annotations

import pytest
from snowflake.connector.errors import ProgrammingError

from local.snowflake.locks import TableLocks


class Session:
    """A holder of locks that can be told to be idle."""

    def __init__(self) -> None:
        self.idle_for: float = 0
        self.locks: TableLocks | None = None

    def abort_if_idle(self, idle_seconds: float) -> bool:
        if self.idle_for < idle_seconds or self.locks is None:
            return False
        self.locks.release(self)
        return True


class Clock:
    """A clock that jumps a second each time somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_a_table_has_one_owner_until_released() -> None:
    locks, one, two = TableLocks(3, 100), Session(), Session()
    locks.acquire("T", one)
    locks.acquire("T", one)
    locks.acquire("OTHER", two)
    with pytest.raises(ProgrammingError, match="locked table 'T'") as raised:
        locks.acquire("T", two, Clock())
    assert raised.value.errno == 625
    locks.release(one)
    locks.acquire("T", two)


def test_an_idle_owner_gives_way() -> None:
    locks, one, two = TableLocks(3, 100), Session(), Session()
    one.idle_for, one.locks = 101, locks
    locks.acquire("T", one)
    locks.acquire("T", two, Clock())


def test_only_commits_of_others_after_the_snapshot_count() -> None:
    locks, one, two = TableLocks(3, 100), Session(), Session()
    before = locks.sequence()
    locks.check_snapshot("T", one, before)
    locks.committed({"T"}, one)
    locks.check_snapshot("T", one, before)
    locks.check_snapshot("T", two, locks.sequence())
    with pytest.raises(ProgrammingError, match="after this one began reading"):
        locks.check_snapshot("T", two, before)
    locks.check_snapshot("OTHER", two, before)
