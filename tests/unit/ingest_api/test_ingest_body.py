"""Reading a body: limits, compression, and the client's own bytes kept."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections.abc import AsyncIterator

import brotli
import pytest
from backports import zstd

from ingest_api import body
from ingest_api.admission import Admission
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Request
from tests.unit.ingest_api.rsgi_request import Protocol, Silent, request, settings

CHUNKED = {"transfer_encoding": "chunked"}
PLAIN = b'{"events":[]}' * 20
PACKED = gzip.compress(PLAIN, mtime=0)


def _read(protocol: Protocol, max_bytes: int = 1000, max_inflated: int = 1000, **headers: str) -> body.Body:
    return _read_request(request(protocol, **(headers or CHUNKED)), max_bytes, max_inflated)


def _read_request(asked: Request, max_bytes: int = 1000, max_inflated: int = 1000, **limits: int) -> body.Body:
    """Read a body as the application does: what is left of a refused one is discarded, and everything is given back."""

    async def read() -> body.Body:
        loop = asyncio.get_running_loop()
        api = settings(max_body_bytes=max_bytes, max_inflated_bytes=max_inflated, **limits)
        admission = Admission(api, loop)
        bodies = body.Bodies(api, admission, loop)
        try:
            return await bodies.read(asked)
        except RefusedError:
            await bodies.discard(asked)
            raise
        finally:
            admission.leave(asked)
            assert (admission.bytes.taken, admission.requests.taken) == (0, 0)

    return asyncio.run(read())


def _refusal(protocol: Protocol, max_bytes: int = 1000, max_inflated: int = 1000, **headers: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        _read(protocol, max_bytes, max_inflated, **headers)
    return caught.value


def test_a_byte_order_mark_is_left_out() -> None:
    marked = b"\xef\xbb\xbf" + PLAIN
    plain = _read(Protocol(marked))
    assert (plain.raw, plain.inflated, plain.encoding) == (PLAIN, PLAIN, "identity")
    for encoding, pack in (("gzip", gzip.compress), ("zstd", zstd.compress)):
        packed = _read(Protocol(pack(marked)), content_encoding=encoding)
        assert (gzip.decompress(packed.raw), packed.inflated, packed.encoding) == (PLAIN, PLAIN, "gzip")


def test_plain_and_gzip_whole_and_in_pieces() -> None:
    for plain in (_read(Protocol(PLAIN)), _read(Protocol(PLAIN), content_length="1")):
        assert (plain.raw, plain.inflated, plain.encoding) == (PLAIN, PLAIN, "identity")
    whole = _read(Protocol(PACKED), content_encoding="gzip", content_length="1")
    for packed in (whole, _read(Protocol(PACKED), content_encoding="gzip")):
        assert (packed.raw, packed.inflated, packed.encoding) == (PACKED, PLAIN, "gzip")


@pytest.mark.parametrize("declared", ["", "identity", "GZIP", "x-gzip"])
def test_gzip_is_known_by_its_first_bytes(declared: str) -> None:
    assert _read(Protocol(PACKED), content_encoding=declared).encoding == "gzip"


@pytest.mark.parametrize("declared", ["compress", "dcz", "gzip, gzip", "nonsense"])
def test_other_encodings(declared: str) -> None:
    protocol = Protocol(PLAIN)
    assert _refusal(protocol, content_encoding=declared).outcome is Outcome.UNSUPPORTED_ENCODING
    assert protocol.read_bytes == 0


@pytest.mark.parametrize(
    ("declared", "packed"),
    [("zstd", zstd.compress(PLAIN)), ("br", brotli.compress(PLAIN)), ("deflate", zlib.compress(PLAIN))],
)
def test_what_the_drain_does_not_know_is_kept_as_gzip(declared: str, packed: bytes) -> None:
    found = _read(Protocol(packed), content_encoding=declared)
    assert (gzip.decompress(found.raw), found.inflated, found.encoding) == (PLAIN, PLAIN, "gzip")
    broken = _refusal(Protocol(packed[:-1]), content_encoding=declared)
    assert broken.outcome is Outcome.INVALID_COMPRESSION
    assert declared in broken.message
    assert _read(Protocol(PACKED), content_encoding=declared).raw == PACKED, "gzip is known by its first bytes"


@pytest.mark.parametrize("broken", [b"", PLAIN, PACKED[:-1], PACKED[:20] + b"\0\0" + PACKED[22:], PACKED + b"x"])
def test_broken_gzip(broken: bytes) -> None:
    assert _refusal(Protocol(broken), content_encoding="gzip").outcome is Outcome.INVALID_GZIP


def test_a_declared_length_far_above_the_limit_is_not_read() -> None:
    protocol = Protocol(PLAIN)
    assert _refusal(protocol, content_length="9" * 4000).outcome is Outcome.BODY_TOO_LARGE
    assert protocol.read_bytes == 0


def test_a_body_somewhat_above_the_limit_is_read_and_forgotten_so_that_its_client_sees_the_answer() -> None:
    declared, chunked = Protocol(PLAIN), Protocol(PLAIN)
    for refused in (
        _refusal(declared, max_bytes=10, content_length=str(len(PLAIN))),
        _refusal(chunked, max_bytes=10, transfer_encoding="chunked"),
    ):
        assert refused.outcome is Outcome.BODY_TOO_LARGE
    assert declared.read_bytes == len(PLAIN)
    assert chunked.read_bytes >= len(PLAIN)


def test_pieces_are_forgotten_above_the_limit_and_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_DISCARDED_BYTES", 50)
    protocol = Protocol(PLAIN * 100)
    assert _refusal(protocol, max_bytes=100, transfer_encoding="chunked").outcome is Outcome.BODY_TOO_LARGE
    assert protocol.read_bytes <= 100 + 50 + 2 * 7


def test_a_client_that_goes_away_is_no_fault_of_the_api() -> None:
    class _Gone(Protocol):
        async def __call__(self) -> bytes:
            raise RuntimeError("RSGI transport is closed")

    assert _refusal(_Gone(b""), content_length="1").outcome is Outcome.INCOMPLETE_BODY


class _AsGranian(Protocol):
    """Granian's iterator: an error is an empty piece, as trailers are, and every body ends with one."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(b"")
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in (*self._pieces, b""):
            yield piece


def test_a_chunked_body_that_ends_early_is_not_taken_for_a_whole_one() -> None:
    assert _read(_AsGranian(PLAIN)).raw == PLAIN
    refused = _refusal(_AsGranian(PLAIN, b""))
    assert refused.outcome is Outcome.INCOMPLETE_BODY
    assert "malformed" in refused.message
    assert _refusal(_AsGranian(b"")).outcome is Outcome.INCOMPLETE_BODY
    assert _read(_AsGranian(PLAIN, b""), transfer_encoding="chunked", trailer="x-checksum").raw == PLAIN


def test_a_bomb_is_refused_by_its_inflated_size() -> None:
    bomb = gzip.compress(bytes(5_000_000))
    refused = _refusal(Protocol(bomb), max_bytes=10_000)
    assert refused.outcome is Outcome.BODY_TOO_LARGE
    assert "1000 bytes" in refused.message
    assert _refusal(Protocol(PLAIN), max_inflated=10).outcome is Outcome.BODY_TOO_LARGE


def test_a_body_larger_than_what_is_inflated_at_once_is_as_good() -> None:
    plain = b" " * 700_000 + PLAIN
    found = _read(Protocol(gzip.compress(plain)), max_inflated=1_000_000, content_length="900")
    assert found.inflated == plain
    assert _refusal(Protocol(gzip.compress(plain)), max_inflated=700_000).outcome is Outcome.BODY_TOO_LARGE


def test_a_bomb_that_hides_its_size_is_refused_too() -> None:
    bomb = gzip.compress(bytes(600_000)) * 5
    assert _refusal(Protocol(bomb), max_bytes=10_000, max_inflated=2_000_000).outcome is Outcome.BODY_TOO_LARGE


def test_a_length_beside_chunks_is_not_believed() -> None:
    protocol = Protocol(PLAIN)
    found = _read(protocol, content_length="1", transfer_encoding="chunked")
    assert found.raw == PLAIN
    assert (
        _refusal(Protocol(PLAIN * 10), content_length="1", transfer_encoding="chunked").outcome
        is Outcome.BODY_TOO_LARGE
    )


@pytest.mark.parametrize("headers", [{"content_length": "100"}, CHUNKED])
def test_a_body_that_does_not_come_ends_in_time(headers: dict[str, str]) -> None:
    began = time.monotonic()
    with pytest.raises(RefusedError) as caught:
        _read_request(request(Silent(b""), **headers), body_timeout_ms=100)
    assert caught.value.outcome is Outcome.BODY_TIMEOUT
    assert 0.1 <= time.monotonic() - began < 1


def test_what_has_no_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_LARGE_BYTES", 2_000)
    room = {"max_in_flight_bytes": 4_000, "max_connections": 40, "in_flight_wait_ms": 20}

    def outcome(data: bytes, **headers: str) -> Outcome | None:
        try:
            _read_request(request(Protocol(data), **headers), 10_000, 10_000, **room)
        except RefusedError as refused:
            return refused.outcome
        return None

    assert outcome(bytes(3_000), **CHUNKED) is None
    assert outcome(bytes(3_001), **CHUNKED) is Outcome.OVERLOADED
    assert outcome(gzip.compress(bytes(2_900)), content_length="30") is None
    assert outcome(gzip.compress(bytes(3_000)), content_length="30") is Outcome.OVERLOADED


def test_a_body_waits_for_its_turn_after_it_has_come_and_before_it_is_opened() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        admission = Admission(settings(max_in_flight_requests=1, in_flight_wait_ms=20), loop)
        bodies = body.Bodies(settings(), admission, loop)
        first, second = (request(Protocol(PACKED), content_length=str(len(PACKED))) for _ in range(2))
        await bodies.read(first)
        with pytest.raises(RefusedError) as caught:
            await bodies.read(second)
        assert caught.value.outcome is Outcome.OVERLOADED
        assert not second.is_unread
        assert (first.held_bytes, second.held_bytes) == (len(PACKED) + len(PLAIN), len(PACKED))
        admission.leave(second)
        assert admission.requests.taken == 1
        admission.leave(first)
        await bodies.read(second)

    asyncio.run(run())
