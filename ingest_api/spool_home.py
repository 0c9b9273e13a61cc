"""The folder that one process spools into: locked while it lives, and taken over by another one once it is dead."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)

_LOCK = "lock"
_UNFINISHED = ".new-"
SUFFIX = ".spool"


class Home:
    """A folder of spool files and the lock on it; the kernel drops the lock when its holder dies, however it dies."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def files(self) -> list[Path]:
        """Return the spool files, oldest first."""
        return sorted(self.path.glob("*" + SUFFIX))

    def leave(self) -> None:
        """Give the folder up, and remove it when it has nothing left; the lock goes last."""
        if not self.files():
            with suppress(OSError):
                (self.path / _LOCK).unlink()
                self.path.rmdir()
        os.close(self._lock)


def create(root: Path) -> Home:
    """Make a folder of our own below `root`; it gets its name once it is locked, so that nobody takes it before."""
    _make_durably(root)
    name = f"{time.time_ns():x}-{os.getpid()}-{os.urandom(3).hex()}"
    unfinished = root / f"{_UNFINISHED}{name}"
    unfinished.mkdir()
    lock = os.open(unfinished / _LOCK, os.O_RDWR | os.O_CREAT, 0o640)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    home = Home(unfinished.rename(root / name), lock)
    sync_folder(root)
    return home


def abandoned(root: Path) -> Iterator[Home]:
    """Yield every folder whose process is dead, locked for us; OSError when `root` cannot be read."""
    for path in sorted(root.iterdir()) if root.exists() else []:
        if path.name.startswith(_UNFINISHED) or not path.is_dir():
            continue
        home = _take(path)
        if home is not None:
            yield home


def _take(path: Path) -> Home | None:
    # A folder that another process is just removing has neither a lock nor a file; it is left alone.
    if not (path / _LOCK).exists() and not list(path.glob("*" + SUFFIX)):
        return None
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o640)
    except FileNotFoundError:
        return None
    except OSError as error:
        _complain(path, str(error))
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return Home(path, lock)


@cache
def _complain(path: Path, reason: str) -> None:
    log.error("spool_folder_not_adopted", extra={"folder": str(path), "reason": reason})


def sync_folder(path: Path) -> None:
    """Make what was created in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_durably(path: Path) -> None:
    if path.is_dir():
        return
    _make_durably(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)
