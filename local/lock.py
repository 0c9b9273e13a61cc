"""Lets one process at a time run the stack of a state folder, and tells others which process that is."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO

from include.errors import SetupError


class StackLock:
    """A lock that the kernel drops when its holder dies, however it dies."""

    def __init__(self, state: Path) -> None:
        self._file = state / "run" / "lock"
        self._held: TextIO | None = None

    def acquire(self) -> None:
        """Take the lock; raises SetupError naming the process that has it."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        stream = self._file.open("a+")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise SetupError(
                f"The stack in {self._file.parent.parent} runs (process {self.holder()}); "
                "see it with `make status`, end it with `make stop`."
            ) from None
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        self._held = stream

    @property
    def is_held(self) -> bool:
        """Say whether this object has the lock."""
        return self._held is not None

    def release(self) -> None:
        """Give the lock back; the file stays, because removing it would let two processes lock two files."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def holder(self) -> int | None:
        """Return the process that runs the stack, or nothing when none does."""
        try:
            with self._file.open("r") as stream:
                return _holder(stream)
        except FileNotFoundError:
            return None


def _holder(stream: TextIO) -> int | None:
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = stream.read().strip()
        return int(text) if text else 0
    return None
