"""Ends the reading of bodies that trickle in, so that a slow client holds a connection only so long.

One timer looks at all bodies being read: a timer for each request would cost more than the other limits together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any


class Patience:
    """Knows since when each task awaits something; the oldest comes first, because all may take equally long."""

    def __init__(
        self, seconds: float, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._loop = loop
        self._clock = clock
        self._tick_seconds = min(1.0, seconds / 4)
        self._since: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> asyncio.Task[Any]:
        """Watch the running task from now on, and return it; it is cancelled at the latest a tick after its time."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("only a task can be watched")
        self._since[task] = self._clock()
        if self._timer is None:
            self._timer = self._loop.call_later(self._tick_seconds, self._look)
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """Watch it no more."""
        self._since.pop(task, None)

    def was_late(self, task: asyncio.Task[Any]) -> bool:
        """Say whether a task that is being cancelled ran out of time; if so it is not cancelled any more."""
        if task not in self._late:
            return False
        self._late.discard(task)
        task.uncancel()
        return True

    def _look(self) -> None:
        now = self._clock()
        for task, since in list(self._since.items()):
            if now - since < self._seconds:
                break
            del self._since[task]
            self._late.add(task)
            task.cancel()
        self._timer = self._loop.call_later(self._tick_seconds, self._look) if self._since else None
