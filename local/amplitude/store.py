"""What the Amplitude stand-in keeps: events, the 7-day dedupe, counters and the importer's cursor, in one SQLite file.

Every change is one durable transaction, so a killed process comes back with whole requests and a matching cursor.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from local.amplitude.events import device_of

DEDUPE_MS = 7 * 24 * 3600 * 1000
PAGE_ROWS = 10_000
_SCHEMA = Path(__file__).with_name("schema.sql")
# A key is taken when it is new or when its last event is older than the window; otherwise no row changes.
_TAKE_KEY = """
INSERT INTO seen (device_id, insert_id, server_upload_time_ms) VALUES (?, ?, ?)
ON CONFLICT (device_id, insert_id) DO UPDATE SET server_upload_time_ms = excluded.server_upload_time_ms
WHERE seen.server_upload_time_ms <= excluded.server_upload_time_ms - ?"""
_ADD_EVENT = "INSERT INTO events (insert_id, device_id, server_upload_time_ms, via, event) VALUES (?, ?, ?, ?, ?)"
_COUNT = """
INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"""
_SET_CURSOR = "INSERT OR REPLACE INTO import_cursor (id, update_time) VALUES (1, ?)"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Stored(NamedTuple):
    """One event as it is read back."""

    row: int
    server_upload_time: int
    via: str
    event: dict[str, Any]


class Store:
    """Opens or creates the database in `folder`; safe to use from several threads."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "amplitude.sqlite"
        self._clock = clock
        self._lock = threading.Lock()
        self._writer = self._open()
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = FULL")
        self._writer.executescript(_SCHEMA.read_text(encoding="utf-8"))

    def close(self) -> None:
        """Close the database; later calls fail."""
        with self._lock:
            self._writer.close()

    def ingest(self, events: Iterable[Mapping[str, Any]], via: str) -> int:
        """Store one upload and return its server upload time (epoch ms)."""
        with self.transaction() as batch:
            for event in events:
                batch.add(event, via)
        return batch.now_ms

    @contextmanager
    def transaction(self) -> Iterator[Batch]:
        """Collect events, counts and a cursor that become visible together, or not at all."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            batch = Batch(self._writer, int(self._clock() * 1000))
            try:
                yield batch
                self._writer.executemany(_COUNT, batch.counts.items())
                self._writer.execute("COMMIT")
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise

    def count(self, name: str, value: int = 1) -> None:
        """Add to one counter."""
        with self.transaction() as batch:
            batch.count(name, value)

    def cursor(self) -> str | None:
        """Return the importer's last maximum, or None before its first row."""
        rows = self._read("SELECT update_time FROM import_cursor")
        return rows[0][0] if rows else None

    def counters(self) -> dict[str, int]:
        """Return all counters by name."""
        return dict(self._read("SELECT name, value FROM counters ORDER BY name"))

    def last_row(self) -> int:
        """Return the number of the newest event's row, 0 when there is none."""
        return int(self._read("SELECT COALESCE(MAX(row), 0) FROM events")[0][0])

    def find(self, insert_id: str) -> list[Stored]:
        """Return every stored event with this insert id."""
        rows = self._read("SELECT row, server_upload_time_ms, via, event FROM events WHERE insert_id = ?", insert_id)
        return [Stored(row, uploaded, via, _decode(event)) for row, uploaded, via, event in rows]

    def insert_ids(self, since_row: int) -> Iterator[tuple[int, str]]:
        """Yield (row, insert id) of all events after `since_row`, page by page."""
        statement = "SELECT row, insert_id FROM events WHERE row > ? AND insert_id IS NOT NULL ORDER BY row LIMIT ?"
        while rows := self._read(statement, since_row, PAGE_ROWS):
            yield from rows
            since_row = rows[-1][0]

    def uploaded_between(self, from_ms: int, until_ms: int) -> Iterator[Stored]:
        """Yield the events whose server upload time lies in [from_ms, until_ms), oldest first."""
        statement = (
            "SELECT row, server_upload_time_ms, via, event FROM events"
            " WHERE (server_upload_time_ms, row) > (?, ?) AND server_upload_time_ms < ?"
            " ORDER BY server_upload_time_ms, row LIMIT ?"
        )
        after = (from_ms, 0)
        while rows := self._read(statement, *after, until_ms, PAGE_ROWS):
            yield from (Stored(row, uploaded, via, _decode(event)) for row, uploaded, via, event in rows)
            after = (rows[-1][1], rows[-1][0])

    def _read(self, statement: str, *values: object) -> list[Any]:
        with closing(self._open()) as connection:
            return connection.execute(statement, values).fetchall()

    def _open(self) -> sqlite3.Connection:
        # Autocommit: transactions are begun and ended by name, above.
        return sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)


class Batch:
    """The open transaction that `Store.transaction` hands out."""

    def __init__(self, connection: sqlite3.Connection, now_ms: int) -> None:
        self._connection = connection
        self.now_ms = now_ms
        self.counts: dict[str, int] = {}

    def add(self, event: Mapping[str, Any], via: str, *, reread: bool = False) -> bool:
        """Store an event and return True, or return False when its device sent this insert id within 7 days.

        A missing `time` becomes the upload time. A duplicate that was asked for again on purpose (`reread`) is not
        counted as one.
        """
        device, insert_id = device_of(event), event.get("insert_id")
        if insert_id is not None and not self._take(device, insert_id):
            self.count("reread:import" if reread else f"duplicates:{via}")
            return False
        kept = {"time": self.now_ms, **event, "device_id": device}
        self._connection.execute(_ADD_EVENT, (insert_id, device, self.now_ms, via, _encode(kept).decode()))
        self.count(f"events:{via}")
        return True

    def count(self, name: str, value: int = 1) -> None:
        """Add to one counter."""
        self.counts[name] = self.counts.get(name, 0) + value

    def set_cursor(self, update_time: str) -> None:
        """Remember the importer's last maximum together with the rows of this transaction."""
        self._connection.execute(_SET_CURSOR, (update_time,))

    def _take(self, device: str, insert_id: str) -> bool:
        return self._connection.execute(_TAKE_KEY, (device, insert_id, self.now_ms, DEDUPE_MS)).rowcount == 1
