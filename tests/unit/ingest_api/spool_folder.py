"""What the tests of the spool's files do with a folder: append, adopt, drain."""

from __future__ import annotations

import time
from pathlib import Path

from ingest_api import spool_home
from ingest_api.spool_files import SpoolFiles
from ingest_api.spool_frames import Record, encode

SMALL = 1024


def record(number: int, size: int = 10) -> Record:
    return Record(time.time(), f"k{number}", b"%d:" % number + bytes(size), [("request_id", b"%d" % number)])


def append(files: SpoolFiles, *numbers: int) -> None:
    files.append([encode(record(number)) for number in numbers], time.time())


def take_over(root: Path) -> SpoolFiles:
    files = SpoolFiles(root, SMALL)
    files.look_around()
    while files.take_over_next():
        pass
    return files


def drained(files: SpoolFiles) -> list[int]:
    """Read and mark everything, as the drainer does."""
    found: list[int] = []
    while (oldest := files.read()) is not None:
        segment, frames = oldest
        found += [int(frame.record.value.partition(b":")[0]) for frame in frames]
        files.mark(segment, frames)
    return found


def spool_paths(root: Path) -> list[Path]:
    return sorted(root.glob("*/*" + spool_home.SUFFIX))
