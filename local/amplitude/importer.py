"""The warehouse importer of the Amplitude stand-in: polls our view on a schedule and takes what is new by update time.

The last maximum is stored in the transaction of the last rows it covers. It moves only over whole publications (rows
that share one update time), so an import that was cut off reads that publication again, and the dedupe drops what came
twice. A row that becomes visible with an older update time is never seen, as with Amplitude.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol

from local.amplitude.events import check
from local.amplitude.store import Batch, Store
from local.amplitude.warehouse import Publication, Row, ViewMissingError

LOG = logging.getLogger(__name__)
PAGE_ROWS = 20_000
CHUNK_ROWS = 5_000
STOP_SECONDS = 10
VIA = "import"
WAITING = "the view ANALYTICS.PUBLISH.AMPLITUDE_EVENTS does not exist yet"


class Source(Protocol):
    """What the importer needs of a warehouse connection."""

    def publications(self, cursor: str | None) -> list[Publication]:
        """List the publications beyond the cursor, oldest first."""

    def rows(self, first: str, last: str) -> Iterator[Row]:
        """Yield the rows between two update times, both included, ordered by update time."""

    def close(self) -> None:
        """Release the connection."""


class Importer:
    """Polls every `interval_seconds` in a thread of its own, or once when `poll` is called."""

    def __init__(self, store: Store, connect: Callable[[], Source], interval_seconds: float) -> None:
        self._store = store
        self._connect = connect
        self._interval = interval_seconds
        self._source: Source | None = None
        self._stop = threading.Event()
        self._polling = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="importer", daemon=True)
        self._polls = 0
        self._last_poll_at: str | None = None
        self._last_success_at: str | None = None
        self._last_error: str | None = None

    def start(self) -> None:
        """Begin to poll, unless the interval is 0."""
        if self._interval:
            self._thread.start()

    def stop(self) -> None:
        """End the polling; a poll under way is left behind when the warehouse does not answer in time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def state(self) -> dict[str, Any]:
        """Return what the board and the tests show."""
        return {
            "enabled": bool(self._interval), "cursor": self._store.cursor(), "polls": self._polls,
            "last_poll_at": self._last_poll_at, "last_success_at": self._last_success_at,
            "last_error": self._last_error,
        }  # fmt: skip

    def poll(self) -> None:
        """Import everything beyond the last maximum; a failure is logged and kept for `state`, never raised."""
        with self._polling:
            self._last_poll_at = _now()
            try:
                taken = self._import()
            except ViewMissingError:
                self._failed(WAITING)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises, the next tick must try again
                self._disconnect()
                self._failed(f"{type(error).__name__}: {error}")
            else:
                self._last_success_at, self._last_error = _now(), None
                if taken:
                    LOG.info("imported %d new events up to %s", taken, self._store.cursor())
            finally:
                self._polls += 1

    def _run(self) -> None:
        while not self._stop.is_set():
            self.poll()
            self._stop.wait(self._interval)
        self._disconnect()

    def _failed(self, message: str) -> None:
        if message != self._last_error:
            LOG.warning("import failed, next try in %s s: %s", self._interval, message)
        self._last_error = message

    def _disconnect(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            try:
                source.close()
            except Exception as error:  # noqa: BLE001 - the connection is broken already
                LOG.debug("closing the warehouse connection failed: %s", error)

    def _import(self) -> int:
        if self._source is None:
            self._source = self._connect()
        began_at = self._store.cursor()
        taken = 0
        for first, last in pages(self._source.publications(began_at)):
            taken += self._import_page(self._source.rows(first, last), last, began_at)
            if self._stop.is_set():
                break
        return taken

    def _import_page(self, rows: Iterator[Row], last: str, began_at: str | None) -> int:
        taken = 0
        chunk = list(islice(rows, CHUNK_ROWS))
        while chunk:
            following = list(islice(rows, CHUNK_ROWS))
            with self._store.transaction() as batch:
                taken += _take(chunk, batch, began_at)
                if not following:
                    batch.set_cursor(last)
            chunk = following
        return taken


def pages(publications: Iterable[Publication], page_rows: int = PAGE_ROWS) -> Iterator[tuple[str, str]]:
    """Group publications into ranges (first, last update time) of about `page_rows`, never splitting one."""
    first: str | None = None
    last, rows = "", 0
    for publication in publications:
        if first is not None and rows + publication.rows > page_rows:
            yield first, last
            first, rows = None, 0
        first = first or publication.update_time
        last, rows = publication.update_time, rows + publication.rows
    if first is not None:
        yield first, last


def _take(rows: Sequence[Row], batch: Batch, began_at: str | None) -> int:
    """Ingest rows and return how many were new; those of the publication the poll began at were read before."""
    taken, refused = 0, []
    for row in rows:
        reread = row.update_time == began_at
        event, problems = check(row.event)
        if not problems:
            taken += batch.add(event, VIA, reread=reread)
        elif not reread:
            refused.append(row.event.get("insert_id"))
            for problem in problems:
                batch.count(f"rejected:{VIA}: {problem.group} {problem.field}")
    if refused:
        LOG.warning(
            "%d rows have missing or invalid fields and are left out, the first is %r", len(refused), refused[0]
        )
    return taken


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
