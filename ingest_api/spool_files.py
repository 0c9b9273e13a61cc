"""The spool's files: appended to in groups with one fsync each, read and marked while draining, removed when sent.

Everything here blocks and belongs to one thread, so nothing is locked. Small files that are only appended to instead
of a database, because a write that failed then costs its own file alone: it is cut back, closed and drained, and the
next group gets a new file. An fsync is never tried again on a file on which it failed, and to empty a spool on a full
disk takes no write.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from include.contract.ordinary_file import read_ordinary
from ingest_api import spool_aside, spool_frames, spool_home
from ingest_api.spool_aside import CORRUPT, TORN
from ingest_api.spool_frames import DONE, STATE_OFFSET, Frame
from ingest_api.spool_home import Home
from ingest_api.spool_segment import ActiveSegment, Segment

log = logging.getLogger(__name__)

_MOST_FAILED_READS = 30
"""With a second between them, so that a volume that is away for a moment costs nothing."""


class SpoolFiles:
    """All files of this process, its own and those it took over from dead ones."""

    def __init__(self, root: Path, segment_bytes: int) -> None:
        self.root = root
        self._segment_bytes = segment_bytes
        self._own: Home | None = None
        self._adopted: list[Home] = []
        self._active: ActiveSegment | None = None
        self._sealed: deque[Segment] = deque()
        self._to_take: deque[Path] = deque()
        self._undeleted: list[Path] = []
        self.set_aside_files = 0

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Everything that waits, oldest first; safe to read from another thread."""
        active = self._active
        return (*tuple(self._sealed), *((active.segment,) if active else ()))

    def append(self, frames: list[bytes], oldest_at: float) -> None:
        """Make frames durable together; after an OSError none of them counts, whatever the disk has."""
        self._write(lambda active: active.append(frames, oldest_at))

    def try_disk(self) -> None:
        """Raise the OSError that an append would meet."""
        self._write(ActiveSegment.try_disk)

    def look_around(self) -> None:
        """Lock what dead processes left behind, remove what could not be removed before, count what is set aside."""
        for path in list(self._undeleted):
            with suppress(OSError):
                path.unlink(missing_ok=True)
                self._undeleted.remove(path)
        for home in [home for home in self._adopted if not home.files()]:
            self._adopted.remove(home)
            home.leave()
        for home in spool_home.abandoned(self.root):
            self._adopted.append(home)
            self._to_take += home.files()
        self.set_aside_files = spool_aside.count(self.root)

    def take_over_next(self) -> bool:
        """Read one file of a dead process, which then waits with the others; False when there is none."""
        if not self._to_take:
            return False
        self._take_over(self._to_take.popleft())
        return True

    def read(self) -> tuple[Segment, list[Frame]] | None:
        """Return the oldest file and its records that Kafka does not have; None when nothing waits."""
        while True:
            if not self._sealed:
                if self._active is None or not self._active.segment.records:
                    return None
                self._seal()
            segment = self._sealed[0]
            try:
                frames = self._scan(segment)
            except FileNotFoundError:
                # Somebody deleted it. Kept on the books, it would age until the spool takes nothing more.
                log.error("spool_file_gone", extra={"file": str(segment.path), "records": segment.records})  # noqa: TRY400
                frames = []
            except OSError as error:
                self._not_read(segment, error)
                raise
            if frames:
                return segment, frames
            self._finish(segment)

    def mark(self, segment: Segment, frames: list[Frame]) -> None:
        """Note that Kafka has these; once it has all, the file goes."""
        segment.sent |= {frame.offset for frame in frames}
        segment.records = max(0, segment.records - len(frames))
        if segment.records == 0:
            self._finish(segment)
            return
        # Without fsync: after a power cut Kafka would get them twice, which the warehouse removes.
        with suppress(OSError), segment.path.open("r+b", buffering=0) as stream:
            for frame in frames:
                os.pwrite(stream.fileno(), DONE, frame.offset + STATE_OFFSET)

    def refuse(self, segment: Segment, frames: list[Frame]) -> None:
        """Move records that Kafka will never take into a file of their own, for a human."""
        kept = spool_aside.keep_refused(self.root, segment.path, frames)
        log.error("spool_records_refused", extra={"file": kept.name, "records": len(frames)})
        self.set_aside_files += 1
        self.mark(segment, frames)

    def postpone(self, segment: Segment) -> None:
        """Let the other files have their turn first."""
        if segment in self._sealed:
            self._sealed.remove(segment)
            self._sealed.append(segment)

    def close(self) -> None:
        """Give up all folders; what still waits is adopted by the next process."""
        if self._active:
            self._seal()
        for home in [*self._adopted, *([self._own] if self._own else [])]:
            home.leave()

    def _write(self, write: Callable[[ActiveSegment], None]) -> None:
        active = self._active or self._open()
        try:
            write(active)
        except OSError:
            self._seal()
            raise
        if active.segment.size >= self._segment_bytes:
            self._seal()

    def _open(self) -> ActiveSegment:
        if self._own is None or not self._own.path.is_dir():
            self._own = spool_home.create(self.root)
        active = ActiveSegment(self._own.path)
        try:
            spool_home.sync_folder(self._own.path)
        except OSError:
            active.close()
            self._remove(active.segment.path)
            raise
        self._active = active
        return active

    def _seal(self) -> None:
        active, self._active = self._active, None
        if active is None:
            return
        active.close()
        if active.segment.records:
            self._sealed.append(active.segment)
        else:
            self._remove(active.segment.path)

    def _take_over(self, path: Path) -> None:
        segment = Segment(path)
        try:
            frames = self._scan(segment)
        except OSError as error:
            log.exception("spool_unreadable", extra={"file": str(path), "reason": str(error)})
            self._set_aside(segment, CORRUPT)
            return
        segment.records = len(frames)
        segment.oldest_at = min((frame.record.spooled_at for frame in frames), default=segment.oldest_at)
        log.info("spool_adopted", extra={"file": str(path), "records": len(frames)})
        self._sealed.append(segment)
        if not frames:
            self._finish(segment)

    def _not_read(self, segment: Segment, error: OSError) -> None:
        """Let the other files have their turn; what cannot be read for long is a human's to look at."""
        segment.failed_reads += 1
        if segment.failed_reads < _MOST_FAILED_READS:
            self.postpone(segment)
            return
        extra = {"file": str(segment.path), "records": segment.records, "reason": str(error)}
        log.error("spool_unreadable", extra=extra)
        self._sealed.remove(segment)
        self._set_aside(segment, CORRUPT)

    def _scan(self, segment: Segment) -> list[Frame]:
        data = read_ordinary(segment.path)
        found = spool_frames.scan(data)
        segment.size, segment.failed_reads = len(data), 0
        if found.damaged_bytes and segment.kept_as != CORRUPT:
            segment.kept_as = CORRUPT
            extra = {"file": str(segment.path), "damaged_bytes": found.damaged_bytes, "readable": len(found.frames)}
            log.error("spool_corrupt", extra=extra)
        if found.torn_bytes and not segment.kept_as:
            segment.kept_as = TORN
            log.warning("spool_torn_end", extra={"file": str(segment.path), "bytes": found.torn_bytes})
        return [frame for frame in found.frames if frame.offset not in segment.sent]

    def _finish(self, segment: Segment) -> None:
        self._sealed.remove(segment)
        if segment.kept_as:
            self._set_aside(segment, segment.kept_as)
        else:
            self._remove(segment.path)

    def _set_aside(self, segment: Segment, kind: str) -> None:
        spool_aside.keep(self.root, segment.path, kind)
        # Torn ones make room for each other; the next look counts them.
        self.set_aside_files += kind != TORN

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            self._undeleted.append(path)
