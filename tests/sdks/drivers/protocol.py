"""What the Python drivers share: their order on standard input, their pace, and their report as JSON lines."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tests.sdks.calls import Call


@dataclass
class Report:
    """Says on standard output what went out and what the SDK believes of it, each id once."""

    outcomes: dict[str, bool] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sent(self, identifier: str) -> None:
        """Say that the call was made."""
        self._line({"sent": identifier})

    def outcome(self, identifier: str, reason: str | None) -> None:
        """Say that the SDK believes it delivered (no reason) or gave up (with one)."""
        with self._lock:
            if identifier in self.outcomes:
                return
            self.outcomes[identifier] = reason is None
        self._line({"id": identifier, "delivered": reason is None, "reason": reason})

    def _line(self, line: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


@dataclass(frozen=True)
class Order:
    """What the harness wants: the server, the key, the calls and their pace."""

    url: str
    key: str
    calls: tuple[Call, ...]
    per_second: float
    patience_seconds: float
    flush_seconds: float
    options: dict[str, Any]

    @classmethod
    def read(cls) -> Order:
        """Read it from standard input."""
        order = json.load(sys.stdin)
        calls = tuple(Call(**call) for call in order.pop("calls"))
        return cls(calls=calls, **order)

    def paced(self, report: Report) -> Iterator[Call]:
        """Yield the calls at their pace (0: as fast as it goes) and report each once it was made."""
        began = time.monotonic()
        for number, call in enumerate(self.calls):
            if self.per_second:
                time.sleep(max(0.0, began + number / self.per_second - time.monotonic()))
            yield call
            report.sent(call.id)

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait until it is done or the patience ends."""
        end = time.monotonic() + self.patience_seconds
        while not done() and time.monotonic() < end:
            time.sleep(0.02)


def leave() -> NoReturn:
    """End at once: an SDK's exit hooks would go on trying, and their threads do not stop."""
    sys.stdout.flush()
    os._exit(0)
