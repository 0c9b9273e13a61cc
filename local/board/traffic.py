"""Posts realistic events at a modest rate for as long as the stack runs, and counts what the API acknowledged."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from local.smoke.known_set import target
from local.traffic import TrafficConfig, generate
from local.traffic.sender import Outcome, Sender

_CONNECTIONS = 2


@dataclass(slots=True)
class Sent:
    """Events by what became of the requests that carried them."""

    posted: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    """Given up, or refused by the API."""


class Traffic:
    """A thread that plans requests, and the sender's threads; 0 events/s means none at all."""

    def __init__(self, endpoints: Mapping[str, str], events_per_second: float, max_events: int | None) -> None:
        self.sent = Sent()
        self._rate, self._max_events = events_per_second, max_events
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._sender = Sender(target(endpoints), _CONNECTIONS, self._count)
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._sender.start()
        if self._rate:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._sender.cancel()
        if self._rate:
            self._thread.join()
        self._sender.finish()

    def _run(self) -> None:
        config = TrafficConfig(
            seed=random.randrange(2**31), start=datetime.now(UTC), events_per_second=self._rate,  # noqa: S311
            max_events=self._max_events,
        )  # fmt: skip
        began = time.monotonic()
        for request in generate(config):
            due = began + (request.due_at - config.start).total_seconds()
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            self._sender.submit(request)

    def _count(self, outcome: Outcome) -> None:
        if not outcome.attempts:
            return
        events = len(outcome.request.events)
        with self._lock:
            self.sent.posted += events
            if outcome.acknowledged:
                self.sent.acknowledged += events
            else:
                self.sent.unanswered += events
