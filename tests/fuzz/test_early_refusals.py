"""Who is refused before the body was read, and still sends, sees the answer all the same."""

from __future__ import annotations

import socket
import time

import pytest

from tests.fuzz.watched_api import WatchedApi
from tests.integration.ingest_server import KEY

_BODY = b'{"events":["' + b"x" * 50_000 + b'"]}'


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /v1/events HTTP/1.1\r\nAuthorization: Bearer nobody", 401),
        ("POST /nowhere HTTP/1.1", 404),
        ("PUT /v1/events HTTP/1.1", 405),
        (f"POST /v1/events HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\nContent-Encoding: nonsense", 415),
    ],
)
def test_a_client_that_is_refused_while_it_sends_sees_the_answer(api: WatchedApi, head: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(f"{head}\r\nHost: x\r\nContent-Length: {len(_BODY)}\r\n\r\n".encode())
        for start in range(0, len(_BODY), 10_000):
            time.sleep(0.1)
            connection.sendall(_BODY[start : start + 10_000])
        assert connection.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())
