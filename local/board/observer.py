"""Asks the parts for their numbers every few seconds, in a thread, so that a slow part never holds the screen up."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import requests

from include.lake import Lake
from local import clients
from local.board.intervals import Intervals, newest
from local.board.queries import query
from local.board.snapshot import Counts, Latency, Snapshot
from local.reader import vendor_ids

log = logging.getLogger(__name__)
T = TypeVar("T")

_EVERY_SECONDS = 2.0
_PATIENCE_SECONDS = 10
_INTERVALS_BEFORE = 5
_EVENTS_METRIC = re.compile(r'^ingest_events_total\{verdict="\w+"\} (\S+)$', re.MULTILINE)


class Observer:
    """`latest` is the newest snapshot, from the moment in which the observer is entered."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self._endpoints = endpoints
        self._storage = clients.storage(endpoints)
        container = self._storage.get_container_client(endpoints["PIPELINE_LAKE_CONTAINER"])
        self._lake = Lake(container, endpoints["PIPELINE_KAFKA_TOPIC"])
        self._intervals: Intervals | None = None
        self._connection: Any = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self._acknowledged = _Monotonic()
        self.latest = Snapshot(datetime.now(UTC))

    def __enter__(self) -> Self:
        self.latest = self.look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=2.0)

    def look(self) -> Snapshot:
        """Ask every part once; what does not answer becomes a problem on the board."""
        problems: list[str] = []

        def ask(part: str, question: Callable[[], T]) -> T | None:
            try:
                return question()
            except Exception as error:
                # Whatever a client raises: the board goes on, and says so.
                log.warning("%s did not answer", part, exc_info=True)
                problems.append(f"{part} did not answer: {str(error).splitlines()[0][:120] if str(error) else error!r}")
                return None

        vendor = ask("amplitude", lambda: vendor_ids.stats(self._endpoints["LOCAL_URL_AMPLITUDE"])) or {}
        importer = vendor.get("importer") or {}
        if importer.get("last_error"):
            problems.append(f"the vendor's importer: {importer['last_error'][:120]}")
        acknowledged = ask("ingest", self._acknowledged_events)
        found = ask("warehouse and lake", lambda: self._stored(importer.get("cursor")))
        if found is None:
            self._disconnect()
        stored, latency, intervals = found or (Counts(), None, ())
        counts = replace(stored, acknowledged=acknowledged, vendor=vendor.get("events"))
        return Snapshot(
            datetime.now(UTC), counts, latency, intervals,
            ask("azurite", self._has_data_docs) or False, tuple(problems),
        )  # fmt: skip

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            self.latest = self.look()
        self._disconnect()

    def _acknowledged_events(self) -> int:
        answer = requests.get(f"{self._endpoints['LOCAL_URL_INGEST']}/metrics", timeout=5)
        answer.raise_for_status()
        return self._acknowledged.add(int(sum(float(value) for value in _EVENTS_METRIC.findall(answer.text))))

    def _stored(self, cursor: str | None) -> tuple[Counts, Latency | None, Any]:
        if self._connection is None:
            self._connection = clients.warehouse(self._endpoints, _PATIENCE_SECONDS)
        if self._intervals is None:
            self._intervals = Intervals(self._lake, max(1, newest(self._lake) - _INTERVALS_BEFORE))
        imported = datetime.fromisoformat(cursor) if cursor else None
        intervals = tuple(self._intervals.refresh(self._connection, imported))
        topic = {"topic": self._lake.topic}
        staged, loaded, failed, newest_loaded = (int(n) for n in query(self._connection, "loaded", topic)[0])
        published, withheld = (int(n) for n in query(self._connection, "published", {})[0])
        waiting = sum(state.events or 0 for state in intervals if state.plan.sequence > newest_loaded)
        counts = Counts(
            staged=staged + waiting, loaded=loaded, failed=failed, duplicates=staged - loaded - failed,
            published=published, withheld=withheld,
        )  # fmt: skip
        return counts, self._latency(), intervals

    def _latency(self) -> Latency | None:
        rows, received_at, p50, p95 = query(self._connection, "latency", {})[0]
        return Latency(int(rows), float(p50) / 1000, float(p95) / 1000, received_at) if rows else None

    def _has_data_docs(self) -> bool:
        container = self._endpoints.get("PIPELINE_DATA_DOCS_CONTAINER", "datadocs")
        return bool(self._storage.get_blob_client(container, "index.html").exists())

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Monotonic:
    """A sum of counters that starts at nought again when the part that counts is restarted."""

    def __init__(self) -> None:
        self._before = self._last = 0

    def add(self, value: int) -> int:
        if value < self._last:
            self._before += self._last
        self._last = value
        return self._before + value
