"""Bounds what a process holds at a time, in requests and in bytes of bodies; what finds it full waits in line a moment.

The line is the first guard against overload: a refusal costs a fifth of what serving the request costs, so clients that
are refused at once and come back at once could keep the process busy with nothing else. And a client that is refused
after its wait was worth waiting for: within a second most get their turn.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Request
from ingest_api.settings import Settings


class Room:
    """So much of one thing at a time; first come, first served."""

    def __init__(self, most: int, wait_seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        self.most = most
        self.taken = 0
        self._wait_seconds = wait_seconds
        self._loop = loop
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """Number of those in line."""
        return len(self._line)

    def take(self, amount: int) -> bool:
        """Take it at once, unless it is not there or others wait for it."""
        if self._line or self.taken + amount > self.most:
            return False
        self.taken += amount
        return True

    async def wait(self, amount: int) -> None:
        """Take it when it is our turn; raises RefusedError when that does not come in time."""
        place: asyncio.Future[None] = self._loop.create_future()
        self._line.append((amount, place))
        patience = self._loop.call_later(self._wait_seconds, self._give_up, place)
        try:
            await place
        finally:
            patience.cancel()

    def give(self, amount: int) -> None:
        """Give it back."""
        self.taken -= amount
        if self._line:
            self._move_up()

    def _give_up(self, place: asyncio.Future[None]) -> None:
        if not place.done():
            place.set_exception(RefusedError(Outcome.OVERLOADED))
        # Whoever stood behind it may need less.
        self._move_up()

    def _move_up(self) -> None:
        while self._line:
            amount, place = self._line[0]
            if not place.done():
                if self.taken + amount > self.most:
                    return
                self.taken += amount
                place.set_result(None)
            self._line.popleft()


class Admission:
    """The two rooms of a process: a body takes of `bytes` as it arrives, then its request a place in `requests`.

    A body takes its bytes as they arrive and not as they are announced, so that clients which announce much and send
    little keep nobody out; only the first `at_once_bytes` are taken before, which all connections together may do.
    """

    def __init__(self, api: Settings, loop: asyncio.AbstractEventLoop) -> None:
        seconds = api.in_flight_wait_ms / 1000
        self.requests = Room(api.max_in_flight_requests, seconds, loop)
        self.bytes = Room(api.max_in_flight_bytes, seconds, loop)
        self.at_once_bytes = max(1, api.max_in_flight_bytes // api.max_connections)
        self._for_large = api.large_in_flight_bytes

    def grow(self, request: Request, size_bytes: int, *, is_large: bool) -> None:
        """Take more bytes for a body that proves larger; raises RefusedError at once where they are not there.

        Large bodies may not take the last quarter: the usual ones get through beside them.
        """
        if self.bytes.taken + size_bytes > (self._for_large if is_large else self.bytes.most):
            raise RefusedError(Outcome.OVERLOADED)
        self.bytes.taken += size_bytes
        request.held_bytes += size_bytes

    def leave(self, request: Request) -> None:
        """Give back what an answered request has taken."""
        if request.held_bytes:
            self.bytes.give(request.held_bytes)
            request.held_bytes = 0
        if request.is_in_work:
            self.requests.give(1)
            request.is_in_work = False
