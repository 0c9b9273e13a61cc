"""The part of granian's RSGI that the API uses, as types; tests hand in their own."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime
from typing import Protocol

import msgspec

Headers = list[tuple[str, str]]
_SLASHES = re.compile("//+")


class RequestHeaders(Protocol):
    """Request headers; names in lower case."""

    def get(self, key: str, default: str | None = None) -> str | None:
        """Return the first value of a header."""

    def get_all(self, key: str) -> list[str]:
        """Return all values of a header, in the order in which they came."""


class Scope(Protocol):
    """What is known of a request before its body."""

    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def client(self) -> str: ...  # noqa: D102 - address:port of the peer
    @property
    def query_string(self) -> str: ...  # noqa: D102
    @property
    def headers(self) -> RequestHeaders: ...  # noqa: D102


class HTTPProtocol(Protocol):
    """Reads the body and writes the answer."""

    def __call__(self) -> Awaitable[bytes]:
        """Read the whole body."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the body piece by piece."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with bytes."""

    def response_file(self, status: int, headers: Headers, file: str) -> None:
        """Answer with a file."""


def tidy(path: str) -> str:
    """Return a path without doubled slashes and without one at its end."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"


class Request(msgspec.Struct, gc=False):
    """One request on its way through the API; what it turns out to be is filled in on the way, for metrics and logs."""

    scope: Scope
    protocol: HTTPProtocol
    request_id: str
    received_at: datetime
    began_at: float
    """Monotonic seconds; durations are measured from here."""
    dialect: str = "none"
    source_id: str = ""
    traceparent: str = ""
    held_bytes: int = 0
    """What its body holds of the process's room for bytes."""
    is_in_work: bool = False
    is_unread: bool = True
    """Whether the client may still be sending the body."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """An answer; `file` instead of `body` where a file is served."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    file: str | None = None
