"""Sends planned requests over kept HTTP connections the way an SDK does: the same bytes again until acknowledged."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Queue
from typing import NamedTuple
from urllib.parse import urlsplit

from local.traffic.model import PlannedRequest

PATH = "/v1/events"
TIMEOUT_SECONDS = 10.0
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 15.0
GZIP_MAGIC = b"\x1f\x8b"
RETRIED_STATUSES = frozenset({408, 425, 429, *range(500, 600)})


class Outcome(NamedTuple):
    """How sending one request ended; `status` 0 means that no answer came at all."""

    request: PlannedRequest
    status: int
    attempts: int
    seconds: float
    request_id: str | None

    @property
    def acknowledged(self) -> bool:
        """Whether the server answered 200."""
        return self.status == http.client.OK


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, with which key per source, and for how long one request is tried."""

    url: str
    write_keys: Mapping[str, str]
    give_up_seconds: float = 120.0


class Sender:
    """A few threads with one connection each; `results` hears of every request exactly once, from those threads.

    When `results` itself fails, nothing more is sent, and `submit` or `finish` raises what it raised.
    """

    def __init__(self, target: Target, connections: int, results: Callable[[Outcome], None]) -> None:
        self._target = target
        self._results = results
        self.problem: str | None = None
        """Why the last attempt that failed did so, for a person who waits."""
        self._error: Exception | None = None
        self._queue: Queue[PlannedRequest | None] = Queue(maxsize=connections * 4)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"sender-{index}") for index in range(connections)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, request: PlannedRequest) -> None:
        """Hand over a request; waits while all connections are busy and the queue is full."""
        self._raise()
        self._queue.put(request)

    def finish(self) -> None:
        """Wait until everything that was handed over is acknowledged or given up."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._raise()

    def cancel(self) -> None:
        """Stop soon: requests under way end with their current attempt, waiting ones are reported unsent."""
        self._stop.set()

    def _run(self) -> None:
        client = _Client(self._target, self._stop, self._failed)
        while (request := self._queue.get()) is not None:
            try:
                self._results(client.send(request))
            except Exception as error:  # noqa: BLE001 - a thread that ended would leave its caller waiting for ever
                self._error = error
                self._stop.set()
        client.close()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _failed(self, problem: str) -> None:
        self.problem = problem


class _Client:
    def __init__(self, target: Target, stop: threading.Event, failed: Callable[[str], None]) -> None:
        parts = urlsplit(target.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        self._path = parts.path.rstrip("/") + PATH
        self._target = target
        self._stop = stop
        self._failed = failed

    def close(self) -> None:
        self._connection.close()

    def send(self, request: PlannedRequest) -> Outcome:
        """Try until acknowledged, refused for good, given up or cancelled."""
        began = time.monotonic()
        deadline = began + self._target.give_up_seconds
        attempts, status, request_id = 0, 0, None
        while not self._stop.is_set():
            attempts += 1
            status, retry_after, request_id = self._attempt(request)
            if status and status not in RETRIED_STATUSES:
                break
            wait = retry_after or min(FIRST_WAIT_SECONDS * 2 ** (attempts - 1), LONGEST_WAIT_SECONDS)
            if time.monotonic() + wait > deadline:
                break
            self._stop.wait(wait)
        return Outcome(request, status, attempts, time.monotonic() - began, request_id)

    def _attempt(self, request: PlannedRequest) -> tuple[int, float, str | None]:
        """Return the status (0 without an answer), seconds of Retry-After (0 without) and the server's request id."""
        headers = {
            "Authorization": f"Bearer {self._target.write_keys[request.source_id]}",
            "Content-Type": "application/json",
        }
        if request.body.startswith(GZIP_MAGIC):
            headers["Content-Encoding"] = "gzip"
        try:
            self._connection.request("POST", self._path, request.body, headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._failed(str(error) or type(error).__name__)
            return 0, 0.0, None
        if answer.status != http.client.OK:
            self._failed(f"answer {answer.status}")
        return answer.status, _seconds(answer.getheader("Retry-After")), answer.getheader("X-Request-Id")


def _seconds(retry_after: str | None) -> float:
    try:
        return min(max(float(retry_after or 0), 0.0), LONGEST_WAIT_SECONDS)
    except ValueError:
        # The form with a date; the ordinary backoff serves.
        return 0.0
