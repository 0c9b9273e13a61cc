"""Lets whichever worker process is asked for `/metrics` answer for all of them: they share one port.

Each process leaves its numbers in a file of a common folder every second; who is asked adds the others' to its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from functools import reduce
from pathlib import Path

import msgspec

from ingest_api.numbers import Numbers

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "_INGEST_SIBLINGS"
"""Tells the worker processes the folder; it is no setting, and there is none when the process is alone."""
_EVERY_SECONDS = 1.0
_SUFFIX = ".numbers"

_decoder = msgspec.msgpack.Decoder(Numbers)


class Siblings:
    """The worker processes of one server; without a folder the process is alone."""

    def __init__(self, folder: str, numbers: Callable[[], Numbers]) -> None:
        self._folder = Path(folder) if folder else None
        self._numbers = numbers
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to leave our numbers for the others."""
        if self._folder is not None:
            self._leave(self._folder, loop)

    def stop(self) -> None:
        """End it; the file stays, because what was counted still counts while the others serve."""
        if self._timer is not None:
            self._timer.cancel()

    def together(self) -> Numbers:
        """Return the numbers of all processes, the others' at most a second old."""
        return reduce(Numbers.plus, self._others(), self._numbers())

    def _others(self) -> list[Numbers]:
        if self._folder is None:
            return []
        own = f"{os.getpid()}{_SUFFIX}"
        found = [path for path in sorted(self._folder.glob(f"*{_SUFFIX}")) if path.name != own]
        return [_decoder.decode(path.read_bytes()) for path in found]

    def _leave(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(_EVERY_SECONDS, self._leave, folder, loop)
        path = folder / f"{os.getpid()}{_SUFFIX}"
        unfinished = path.with_suffix(".new")
        try:
            unfinished.write_bytes(msgspec.msgpack.encode(self._numbers()))
            unfinished.replace(path)
        except OSError as error:
            log.warning("numbers_not_left", extra={"folder": str(folder), "reason": str(error)})
