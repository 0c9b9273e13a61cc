"""A lean closed-loop HTTP client for the ingest benchmarks: as many connections as asked, one request each in flight.

Run as a process of its own: `python -m bench.ingest_load PORT CONNECTIONS SECONDS CORPUS`; prints one JSON object.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

HOST = "127.0.0.1"
_RECEIVE_BYTES = 65_536


class Corpus(msgspec.Struct, frozen=True):
    """Bodies to post over and over, each with the write key of its source."""

    bodies: list[bytes]
    keys: list[str]
    events: list[int]


class Report(msgspec.Struct, frozen=True):
    """What the client saw; `stored[i]` counts the answers 200 to body i."""

    statuses: dict[int, int]
    stored: list[int]
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float


class _Connection(NamedTuple):
    socket: socket.socket
    body: int
    sent_at: float


class Load:
    """The loop over all connections."""

    def __init__(self, port: int, corpus: Corpus) -> None:
        self._port = port
        self._requests = [request_bytes(port, body, key) for body, key in zip(corpus.bodies, corpus.keys, strict=True)]
        self._next = 0
        self._open: dict[int, _Connection] = {}
        self._poll = select.epoll()
        self.statuses: dict[int, int] = {}
        self.stored = [0] * len(self._requests)
        self.waited: list[float] = []

    def run(self, connections: int, seconds: float) -> None:
        """Send until the time is over, then take the answers that are still due."""
        for _ in range(connections):
            opened = socket.create_connection((HOST, self._port))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._poll.register(opened.fileno(), select.EPOLLIN)
            self._send(opened)
        deadline = time.monotonic() + seconds
        while self._open:
            for descriptor, _ in self._poll.poll():
                self._receive(descriptor, time.monotonic() < deadline)

    def _send(self, opened: socket.socket) -> None:
        body, self._next = self._next, (self._next + 1) % len(self._requests)
        self._open[opened.fileno()] = _Connection(opened, body, time.monotonic())
        opened.sendall(self._requests[body])

    def _receive(self, descriptor: int, go_on: bool) -> None:  # noqa: FBT001
        connection = self._open.pop(descriptor)
        status = read_status(connection.socket)
        self.waited.append(time.monotonic() - connection.sent_at)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.stored[connection.body] += 1
        if go_on:
            self._send(connection.socket)
        else:
            self._poll.unregister(descriptor)
            connection.socket.close()


def request_bytes(port: int, body: bytes, key: str) -> bytes:
    """Return one whole request."""
    encoding = "Content-Encoding: gzip\r\n" if body.startswith(b"\x1f\x8b") else ""
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: {HOST}:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"{encoding}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def read_status(connection: socket.socket) -> int:
    """Read one answer to its end; answers of the API always have a Content-Length."""
    data = connection.recv(_RECEIVE_BYTES)
    while True:
        if not data:
            raise ConnectionError("the server closed a connection")
        head, gap, rest = data.partition(b"\r\n\r\n")
        if gap:
            start = head.lower().index(b"content-length: ") + 16
            if len(rest) >= int(head[start:].split(b"\r\n", 1)[0]):
                return int(head[9:12])
        data += connection.recv(_RECEIVE_BYTES)


def main(port: int, connections: int, seconds: float, corpus_file: str) -> None:
    """Run and print the report."""
    load = Load(port, msgspec.msgpack.decode(Path(corpus_file).read_bytes(), type=Corpus))
    began, began_cpu = time.monotonic(), time.process_time()
    load.run(connections, seconds)
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
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
