"""Clients that crowd, dawdle or deceive, for tests of the ingest API's limits."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.integration.ingest_server import KEY, Answer, ApiServer

Post = Callable[[ApiServer], Answer]


def basic(key: str) -> str:
    """Return the Authorization header that Segment's and RudderStack's SDKs send."""
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def own(server: ApiServer) -> Answer:
    """Post as our own clients do."""
    return server.post({"events": [{"event_id": uuid.uuid4().hex, "event_name": "opened", "device_id": "d-1"}] * 5})


def amplitude(server: ApiServer, device: str = "d-1", key: str = KEY) -> Answer:
    """Post as Amplitude's SDKs do."""
    event = {"device_id": device, "event_type": "opened", "insert_id": uuid.uuid4().hex, "time": 1795393297820}
    return server.request("POST", "/2/httpapi", json.dumps({"api_key": key, "events": [event]}).encode())


def segment(server: ApiServer, key: str = KEY, events: int = 1) -> Answer:
    """Post as Segment's SDKs do."""
    call = {"type": "track", "event": "opened", "anonymousId": "d-1", "messageId": uuid.uuid4().hex}
    body = json.dumps({"batch": [call] * events}).encode()
    return server.request("POST", "/v1/batch", body, {"Authorization": basic(key)})


def bomb(server: ApiServer) -> Answer:
    """Post what inflates to a thousand times its size."""
    return server.post(gzip.compress(b'{"events":[' + b" " * 3_000_000 + b"]}"))


DIALECTS: Mapping[str, Post] = {"own": own, "amplitude": amplitude, "segment": segment}


class Crowd:
    """Clients in threads of their own that post one after the other until told to stop."""

    def __init__(self, server: ApiServer, posts: Mapping[str, Post], clients: int) -> None:
        self._server = server
        self._stop = threading.Event()
        self.answers: list[tuple[str, Answer, float]] = []
        """Who, what was answered, after how many seconds."""
        self.failures: list[Exception] = []
        names = list(posts)
        self._threads = [
            threading.Thread(target=self._run, args=(names[i % len(names)], posts[names[i % len(names)]]))
            for i in range(clients)
        ]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, name: str, post: Post) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                answer = post(self._server)
            except OSError as error:
                self.failures.append(error)
                return
            self.answers.append((name, answer, time.monotonic() - began))


def head(path: str, *lines: str) -> bytes:
    """Return a request's head with the test's key."""
    return "\r\n".join((f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {KEY}", *lines, "", "")).encode()


@contextmanager
def dawdlers(server: ApiServer, count: int, first: bytes) -> Iterator[list[socket.socket]]:
    """Open connections that send a beginning and then nothing."""
    opened = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(count)]
    try:
        for connection in opened:
            connection.sendall(first)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def trickle(connection: socket.socket, until: float) -> bytes:
    """Send a byte every now and then until an answer, or the end, comes; returns what came."""
    connection.settimeout(0.1)
    while time.monotonic() < until:
        try:
            connection.sendall(b"x")
            return connection.recv(65_536)
        except TimeoutError:
            continue
        except OSError:
            return b""
    raise AssertionError("the connection stayed open")
