"""Makes records durable in groups for the spool: while one group is being synced, the next one gathers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

_TIMEOUT_SECONDS = 4.0
"""How long a request waits for its fsync; together with INGEST_SPOOL_AFTER_MS below the 8 s that a client waits."""


class _Pending(NamedTuple):
    frame: bytes
    spooled_at: float
    committed: asyncio.Future[None]


class GroupCommit:
    """Gathers frames and hands them to `write`, one group at a time; whatever `write` raises, none is durable."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        write: Callable[[list[bytes], float], Awaitable[None]],
        group_bytes: int,
    ) -> None:
        self._loop = loop
        self._write = write
        self._group_bytes = group_bytes
        self._pending: list[_Pending] = []
        self._running: asyncio.Task[None] | None = None
        self.pending_bytes = 0

    async def add(self, frame: bytes, spooled_at: float) -> None:
        """Return once the frame is durable; raises TimeoutError, or OSError when it could not be written."""
        committed: asyncio.Future[None] = self._loop.create_future()
        self._pending.append(_Pending(frame, spooled_at, committed))
        self.pending_bytes += len(frame)
        if self._running is None:
            self._running = self._loop.create_task(self._run())
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await committed

    async def _run(self) -> None:
        try:
            while self._pending:
                group = self._next()
                if group:
                    await self._commit(group)
        finally:
            self._running = None

    def _next(self) -> list[_Pending]:
        count = size = 0
        while count < len(self._pending) and size < self._group_bytes:
            size += len(self._pending[count].frame)
            count += 1
        group, self._pending = self._pending[:count], self._pending[count:]
        self.pending_bytes -= size
        # Nobody waits any more for those that took too long.
        return [one for one in group if not one.committed.done()]

    async def _commit(self, group: list[_Pending]) -> None:
        failure: OSError | None = None
        try:
            await self._write([one.frame for one in group], min(one.spooled_at for one in group))
        except OSError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever happened, nothing of it is durable
            failure = OSError(repr(error))
        for one in group:
            if one.committed.done():
                continue
            if failure:
                one.committed.set_exception(failure)
            else:
                one.committed.set_result(None)
