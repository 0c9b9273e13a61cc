"""HTTP/1.1 by hand: answers out of bytes, strictly, and a connection on which any bytes can be sent."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from typing import Any, NamedTuple

from tests.fuzz import limits

_HEAD_END = b"\r\n\r\n"


class ClosedError(ValueError):
    """The connection ended before the answer did."""


class WireAnswer(NamedTuple):
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id", "")


def answers(data: bytes) -> tuple[list[WireAnswer], bytes]:
    """Cut bytes into final answers (none to HEAD among them) and the rest; ValueError when they are not HTTP."""
    found: list[WireAnswer] = []
    while True:
        one, end = _answer(data)
        if one is None:
            return found, data
        data = data[end:]
        if one.status >= 200:
            found.append(one)


def _answer(data: bytes) -> tuple[WireAnswer | None, int]:
    head_end = data.find(_HEAD_END)
    if head_end < 0:
        if not b"HTTP/1.1 ".startswith(data[:9]):
            raise ValueError(f"not an answer: {data[:200]!r}")
        return None, 0
    first, *lines = data[:head_end].decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    if version not in {"HTTP/1.1", "HTTP/1.0"} or len(status) != 3:
        raise ValueError(f"not a status line: {first!r}")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "transfer-encoding" in headers or (int(status) >= 200 and "content-length" not in headers):
        raise ValueError(f"an answer without a length: {headers}")
    start = head_end + len(_HEAD_END)
    end = start + int(headers.get("content-length", 0))
    if len(data) < end:
        return None, 0
    return WireAnswer(int(status), headers, data[start:end]), end


class Wire:
    """A connection that is kept, and made anew after the API closed it, or would soon because nothing came."""

    def __init__(self, port: int, patience_seconds: float = 10.0) -> None:
        self._port, self._patience = port, patience_seconds
        self._socket: socket.socket | None = None
        self._used_at = 0.0

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None

    def exchange(self, request: bytes) -> WireAnswer:
        """Send one request and return its answer; TimeoutError or ValueError when there is none."""
        if time.monotonic() - self._used_at > limits.HEADER_SECONDS / 3:
            self.close()
        if self._socket:
            # Any server may close a connection that it kept, and does so after a body that it did not read.
            with suppress(ClosedError):
                return self._once(self._socket, request)
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=self._patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._once(self._socket, request)

    def _once(self, connection: socket.socket, request: bytes) -> WireAnswer:
        try:
            answer, closed = self._exchange(connection, request)
        except BaseException:
            self.close()
            raise
        if closed or answer.headers.get("connection") == "close":
            self.close()
        self._used_at = time.monotonic()
        return answer

    def _exchange(self, connection: socket.socket, request: bytes) -> tuple[WireAnswer, bool]:
        broken = False
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            broken = True  # the API may answer before it has read all
        data = b""
        while True:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                piece = b""
            data += piece
            found, rest = answers(data)
            if found and (len(found) > 1 or rest):
                raise ValueError(f"more than one answer to one request: {data!r}")
            if found:
                return found[0], broken
            if not piece:
                raise ClosedError(f"the connection ended without an answer after {data[:200]!r}")
