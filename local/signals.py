"""Turns Ctrl-C, SIGTERM and a closed terminal into one exception, so that the stack ends in one way."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_WORDS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "Asked to stop", signal.SIGHUP: "The terminal was closed"}


class StopRequested(BaseException):
    """The user wants the stack to end; no `except Exception` on the way may hold it up."""


class StopRequests:
    """The handlers of the signals that end the stack."""

    def __init__(self) -> None:
        self._ignored = False

    def ignore(self) -> None:
        """Let the stop that is under way finish, however often Ctrl-C is pressed."""
        self._ignored = True

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Raise StopRequested, once."""
        if not self._ignored:
            self._ignored = True
            raise StopRequested(_WORDS[signal.Signals(number)])


@contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Raise StopRequested in the main thread on any of the signals, and restore what was there before."""
    requests = StopRequests()
    before = {number: signal.signal(number, requests.handle) for number in _WORDS}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
