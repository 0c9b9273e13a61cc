"""The spool's files that are kept for a human: damaged ones, what Kafka refuses, and torn ends."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from ingest_api import spool_frames, spool_home
from ingest_api.spool_frames import Frame

CORRUPT, REFUSED, TORN = "corrupt", "refused", "torn"
_MOST_TORN = 8
"""Each ends with a write that nobody was answered 200 for, unless the disk lost what it had called written."""


def keep(root: Path, path: Path, kind: str) -> None:
    """Take a file out of the spool, without a write; of torn ones the oldest make room."""
    with suppress(OSError):
        path.rename(_name(root, path, kind))
        for old in sorted(root.glob(f"*.{TORN}-*"), key=lambda one: one.suffix)[:-_MOST_TORN]:
            old.unlink()


def keep_refused(root: Path, path: Path, frames: list[Frame]) -> Path:
    """Write records of a file into one that nobody drains, durably, and return its path."""
    kept = _name(root, path, REFUSED)
    with kept.open("xb") as stream:
        stream.writelines(spool_frames.encode(frame.record) for frame in frames)
        stream.flush()
        os.fsync(stream.fileno())
    spool_home.sync_folder(root)
    return kept


def count(root: Path) -> int:
    """Return how many there are."""
    return sum(1 for kind in (CORRUPT, REFUSED, TORN) for _ in root.glob(f"*.{kind}-*"))


def _name(root: Path, path: Path, kind: str) -> Path:
    return root / f"{path.parent.name}-{path.stem}.{kind}-{time.time_ns()}"
