"""An open-loop HTTP client for the ingest benchmarks: requests leave at a fixed rate, whatever the answers do.

Run as a process of its own: `python -m bench.ingest_open PORT CONNECTIONS RATE SECONDS CORPUS`; prints one JSON object.
A request that finds every connection busy waits, and its latency counts from when it was due.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.ingest_load import HOST, Corpus, Report, read_status, request_bytes

_LONGEST_WAIT_SECONDS = 0.05


class _Sent(NamedTuple):
    body: int
    due_at: float


class OpenLoad:
    """A fixed number of connections, of which each has at most one request in flight."""

    def __init__(self, port: int, corpus: Corpus, connections: int) -> None:
        self._requests = [request_bytes(port, body, key) for body, key in zip(corpus.bodies, corpus.keys, strict=True)]
        self._idle = deque(_connect(port) for _ in range(connections))
        self._busy: dict[socket.socket, _Sent] = {}
        self.statuses: dict[int, int] = {}
        self.stored = [0] * len(self._requests)
        self.waited: list[float] = []

    def run(self, rate: float, seconds: float) -> None:
        """Send at so many requests a second, then take the answers that are still due."""
        began, sent, total = time.monotonic(), 0, round(rate * seconds)
        while sent < total or self._busy:
            now = time.monotonic()
            while sent < total and self._idle and (due_at := began + sent / rate) <= now:
                self._send(sent % len(self._requests), due_at)
                sent += 1
            wait = began + sent / rate - time.monotonic() if sent < total and self._idle else _LONGEST_WAIT_SECONDS
            # select, not epoll: it waits to the microsecond.
            for ready in select.select(list(self._busy), [], [], max(0.0, wait))[0]:
                self._receive(ready)

    def _send(self, body: int, due_at: float) -> None:
        connection = self._idle.popleft()
        self._busy[connection] = _Sent(body, due_at)
        connection.sendall(self._requests[body])

    def _receive(self, connection: socket.socket) -> None:
        status = read_status(connection)
        sent = self._busy.pop(connection)
        self._idle.append(connection)
        self.waited.append(time.monotonic() - sent.due_at)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.stored[sent.body] += 1


def _connect(port: int) -> socket.socket:
    opened = socket.create_connection((HOST, port))
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def main(port: int, connections: int, rate: float, seconds: float, corpus_file: str) -> None:
    """Run and print the report."""
    load = OpenLoad(port, msgspec.msgpack.decode(Path(corpus_file).read_bytes(), type=Corpus), connections)
    began, began_cpu = time.monotonic(), time.process_time()
    load.run(rate, seconds)
    waited = sorted(load.waited)
    report = Report(
        statuses=load.statuses,
        stored=load.stored,
        seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - began_cpu,
        p50_ms=waited[len(waited) // 2] * 1000,
        p99_ms=waited[len(waited) * 99 // 100] * 1000,
    )
    print(msgspec.json.encode(report).decode())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
