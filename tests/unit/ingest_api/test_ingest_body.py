"""Reading a body: limits, compression, and the client's own bytes kept."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from ingest_api import body
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Headers, HTTPProtocol, Request, Scope

PLAIN = b'{"events":[]}' * 20
PACKED = gzip.compress(PLAIN)


class _Protocol:
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


def _read(protocol: _Protocol, max_bytes: int = 1000, max_inflated: int = 1000, **headers: str) -> body.Body:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    scope = cast("Scope", SimpleNamespace(method="POST", path="/v1/events", headers=named))
    request = Request(scope, cast("HTTPProtocol", protocol), "id", datetime.now(UTC), 0.0)
    return asyncio.run(body.read(request, max_bytes, max_inflated))


def _refusal(protocol: _Protocol, max_bytes: int = 1000, max_inflated: int = 1000, **headers: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        _read(protocol, max_bytes, max_inflated, **headers)
    return caught.value


def test_plain_and_gzip_whole_and_in_pieces() -> None:
    for plain in (_read(_Protocol(PLAIN)), _read(_Protocol(PLAIN), content_length="1")):
        assert (plain.raw, plain.inflated, plain.encoding) == (PLAIN, PLAIN, "identity")
    whole = _read(_Protocol(PACKED), content_encoding="gzip", content_length="1")
    for packed in (whole, _read(_Protocol(PACKED), content_encoding="gzip")):
        assert (packed.raw, packed.inflated, packed.encoding) == (PACKED, PLAIN, "gzip")


@pytest.mark.parametrize("declared", ["", "identity", "GZIP", "x-gzip"])
def test_gzip_is_known_by_its_first_bytes(declared: str) -> None:
    assert _read(_Protocol(PACKED), content_encoding=declared).encoding == "gzip"


@pytest.mark.parametrize("declared", ["br", "zstd", "deflate", "gzip, gzip", "nonsense"])
def test_other_encodings(declared: str) -> None:
    protocol = _Protocol(PLAIN)
    assert _refusal(protocol, content_encoding=declared).outcome is Outcome.UNSUPPORTED_ENCODING
    assert protocol.read_bytes == 0


@pytest.mark.parametrize("broken", [b"", PLAIN, PACKED[:-1], PACKED[:20] + b"\0\0" + PACKED[22:], PACKED + b"x"])
def test_broken_gzip(broken: bytes) -> None:
    assert _refusal(_Protocol(broken), content_encoding="gzip").outcome is Outcome.INVALID_GZIP


def test_a_declared_length_far_above_the_limit_is_not_read() -> None:
    protocol = _Protocol(PLAIN)
    assert _refusal(protocol, content_length="9" * 4000).outcome is Outcome.BODY_TOO_LARGE
    assert protocol.read_bytes == 0


def test_a_body_somewhat_above_the_limit_is_read_and_forgotten_so_that_its_client_sees_the_answer() -> None:
    protocol = _Protocol(PLAIN)
    assert _refusal(protocol, max_bytes=10, content_length=str(len(PLAIN))).outcome is Outcome.BODY_TOO_LARGE
    assert protocol.read_bytes == len(PLAIN)


def test_pieces_are_forgotten_above_the_limit_and_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_DISCARDED_BYTES", 50)
    protocol = _Protocol(PLAIN * 100)
    assert _refusal(protocol, max_bytes=100).outcome is Outcome.BODY_TOO_LARGE
    assert protocol.read_bytes <= 100 + 50 + 2 * 7


def test_a_client_that_goes_away_is_no_fault_of_the_api() -> None:
    class _Gone(_Protocol):
        async def __call__(self) -> bytes:
            raise RuntimeError("RSGI transport is closed")

    assert _refusal(_Gone(b""), content_length="1").outcome is Outcome.INCOMPLETE_BODY


def test_a_bomb_is_refused_by_its_inflated_size() -> None:
    bomb = gzip.compress(bytes(5_000_000))
    refused = _refusal(_Protocol(bomb), max_bytes=10_000)
    assert refused.outcome is Outcome.BODY_TOO_LARGE
    assert "1000 bytes" in refused.message
    assert _refusal(_Protocol(PLAIN), max_inflated=10).outcome is Outcome.BODY_TOO_LARGE
