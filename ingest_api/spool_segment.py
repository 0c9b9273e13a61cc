"""One file of the spool: what waits in it, and the writing to its end."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

from ingest_api import spool_frames, spool_home

_TRIAL = spool_frames.frame(bytes(4096), spool_frames.DONE)
"""What is written to learn whether the disk takes something again."""


class Segment:
    """A file that waits to be sent: how much is in it, and since when."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.records = 0
        self.oldest_at = time.time()
        self.kept_as = ""
        """Why the file is kept for a human once its records are sent; empty: it is not."""
        self.failed_reads = 0
        self.refused_at: float | None = None
        """Since when Kafka calls a record of it too large (monotonic seconds)."""
        self.sent: set[int] = set()
        """Offsets of frames that Kafka has; also written to the file, if the disk lets us."""


class ActiveSegment:
    """The file that is being appended to; after an OSError it takes nothing more."""

    def __init__(self, folder: Path) -> None:
        self.segment = Segment(folder / f"{time.time_ns():020d}{spool_home.SUFFIX}")
        self._descriptor = os.open(self.segment.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)

    def append(self, frames: list[bytes], oldest_at: float) -> None:
        """Make frames durable together, or cut the file back to what it had and raise OSError."""
        segment, data = self.segment, b"".join(frames)
        self._write(data)
        segment.oldest_at = min(segment.oldest_at, oldest_at) if segment.records else oldest_at
        segment.size += len(data)
        segment.records += len(frames)

    def try_disk(self) -> None:
        """Write and sync something that no reader sends."""
        self._write(_TRIAL)
        self.segment.size += len(_TRIAL)

    def close(self) -> None:
        """Let go of the file; what is in it was synced before."""
        with suppress(OSError):
            os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fdatasync(self._descriptor)
            if os.fstat(self._descriptor).st_nlink == 0:
                raise FileNotFoundError(errno.ENOENT, "somebody removed the spool file", str(self.segment.path))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.segment.size)
            raise
