"""Keeps on disk what Kafka does not take, for the ingest API: one writer, one fsync for all that waits at the moment.

The files belong to one thread; whatever touches them is queued there, so a commit and a read never meet.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from ingest_api import spool_frames
from ingest_api.group_commit import GroupCommit
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.settings import Settings
from ingest_api.spool_files import SpoolFiles
from ingest_api.spool_frames import Frame, Headers, Record
from ingest_api.spool_segment import Segment

log = logging.getLogger(__name__)

T = TypeVar("T")

SEGMENT_BYTES = 4 * 1024 * 1024
_LOOK_SECONDS = 5.0
_SAME_ERROR_SECONDS = 30.0


class SpoolStatus(NamedTuple):
    """What the metrics show of the spool; zeros where it is off."""

    waiting_records: int = 0
    waiting_bytes: int = 0
    oldest_seconds: float = 0.0
    set_aside_files: int = 0
    spooled_records: int = 0
    failed_records: int = 0


class Spool:
    """The spool of this process; its public methods are for the event loop."""

    def __init__(self, api: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._files = SpoolFiles(Path(api.spool_dir), SEGMENT_BYTES)
        self._thread = ThreadPoolExecutor(1, "spool")
        self._max_bytes = api.spool_max_bytes
        self._max_age = api.spool_max_age_seconds
        self._queue_bytes = api.queue_bytes
        self._commit = GroupCommit(loop, self._write, SEGMENT_BYTES)
        self._disk_problem: str | None = None
        self._logged_at = float("-inf")
        self._looked_at = float("-inf")
        self._spooled = 0
        self._failed = 0

    def status(self) -> SpoolStatus:
        """Return the numbers for the metrics."""
        segments = self._files.segments
        return SpoolStatus(
            sum(segment.records for segment in segments),
            self._bytes(segments),
            self._age(segments),
            self._files.set_aside_files,
            self._spooled,
            self._failed,
        )

    def problem(self) -> str | None:
        """Say why the spool takes nothing now, or None when it does."""
        segments = self._files.segments
        waiting, age = self._bytes(segments), self._age(segments)
        if self._disk_problem:
            return f"the spool cannot be written: {self._disk_problem}"
        if waiting >= self._max_bytes:
            return f"the spool is full: {waiting:,} bytes wait, INGEST_SPOOL_MAX_BYTES is {self._max_bytes:,}"
        if age >= self._max_age:
            return (
                f"the spool's oldest record waits for {age:,.0f} s, INGEST_SPOOL_MAX_AGE_SECONDS is {self._max_age:,}"
            )
        return None

    def warnings(self) -> list[str]:
        """Say what a human should look at."""
        count, found = self._files.set_aside_files, []
        if problem := self.problem():
            found.append(problem)
        if count:
            found.append(f"{count} spool files are set aside in {self._files.root}: see docs/runbooks/spool.md")
        return found

    async def append(self, key: str | None, value: bytes, headers: Headers) -> None:
        """Return once the record is durable; RefusedError when it is not."""
        now = time.time()
        frame = spool_frames.encode(Record(now, key, value, headers))
        if not self._has_room(len(frame)):
            self._failed += 1
            raise RefusedError(Outcome.SPOOL_FULL)
        try:
            await self._commit.add(frame, now)
        except (OSError, TimeoutError) as error:
            self._failed += 1
            raise RefusedError(Outcome.SPOOL_FULL) from error
        self._spooled += 1

    async def maintain(self) -> None:
        """Every few seconds adopt what dead processes left, and try again a disk that failed."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        is_first, self._looked_at = self._looked_at < 0, time.monotonic()
        try:
            if self._disk_problem or is_first:
                await self._on_thread(self._files.try_disk)
                self._disk_problem = None
        except OSError as error:
            self._fail(error)
        try:
            await self._on_thread(self._files.look_around)
            while await self._on_thread(self._files.take_over_next):
                pass
        except OSError as error:
            self._complain(error)

    async def oldest(self) -> tuple[Segment, list[Frame]] | None:
        """Return the oldest file with its records to send; None when nothing waits."""
        return await self._on_thread(self._files.read)

    async def mark(self, segment: Segment, frames: list[Frame]) -> None:
        """Forget records that Kafka acknowledged."""
        await self._on_thread(lambda: self._files.mark(segment, frames))

    async def refuse(self, segment: Segment, frames: list[Frame]) -> None:
        """Set records aside that Kafka will never take."""
        await self._on_thread(lambda: self._files.refuse(segment, frames))

    async def postpone(self, segment: Segment) -> None:
        """Let the other files have their turn."""
        await self._on_thread(lambda: self._files.postpone(segment))

    async def close(self) -> None:
        """Give the files up for the next process to adopt."""
        await self._on_thread(self._files.close)
        self._thread.shutdown(wait=False)

    def _on_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        return self._loop.run_in_executor(self._thread, call)

    def _has_room(self, size: int) -> bool:
        if self._commit.pending_bytes + size > self._queue_bytes:
            return False
        segments = self._files.segments
        return self._bytes(segments) + size <= self._max_bytes and self._age(segments) < self._max_age

    def _bytes(self, segments: tuple[Segment, ...]) -> int:
        return self._commit.pending_bytes + sum(segment.size for segment in segments if segment.records)

    @staticmethod
    def _age(segments: tuple[Segment, ...]) -> float:
        oldest = min((segment.oldest_at for segment in segments if segment.records), default=None)
        return 0.0 if oldest is None else max(0.0, time.time() - oldest)

    async def _write(self, frames: list[bytes], oldest_at: float) -> None:
        try:
            await self._on_thread(lambda: self._files.append(frames, oldest_at))
        except Exception as error:
            self._fail(error)
            raise
        self._disk_problem = None

    def _fail(self, error: Exception) -> None:
        self._disk_problem = str(error)
        self._complain(error)

    def _complain(self, error: Exception) -> None:
        if time.monotonic() - self._logged_at >= _SAME_ERROR_SECONDS:
            self._logged_at = time.monotonic()
            log.error("spool_failed", extra={"reason": str(error)})
