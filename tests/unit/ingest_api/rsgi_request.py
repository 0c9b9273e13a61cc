"""A request without a server, for unit tests, and a clock and a loop's timers that a test holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

from include.contract.kafka_settings import KafkaConnection
from ingest_api.rsgi import Headers, HTTPProtocol, Request, Scope
from ingest_api.settings import Settings


class Protocol:
    """Hands the body over whole or in pieces, and remembers how much was read."""

    def __init__(self, data: bytes, piece_bytes: int = 7) -> None:
        self._data = data
        self._piece = piece_bytes
        self.read_bytes = 0

    async def __call__(self) -> bytes:
        self.read_bytes = len(self._data)
        return self._data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), self._piece):
            piece = self._data[start : start + self._piece]
            self.read_bytes += len(piece)
            yield piece

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        raise NotImplementedError

    def response_file(self, status: int, headers: Headers, file: str) -> None:
        raise NotImplementedError


class Silent(Protocol):
    """A client that sends nothing more."""

    async def __call__(self) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def request(protocol: Protocol, **headers: str) -> Request:
    """Make a POST of events."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    scope = cast("Scope", SimpleNamespace(method="POST", path="/v1/events", headers=named))
    return Request(scope, cast("HTTPProtocol", protocol), "id", datetime.now(UTC), 0.0)


def settings(**values: int) -> Settings:
    """Make settings that differ from the defaults as named."""
    return Settings(kafka=KafkaConnection(), **values)  # type: ignore[arg-type]
