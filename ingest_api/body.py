"""Reads a request body within its limits and inflates it for checking; what will be stored is kept beside it."""

from __future__ import annotations

import asyncio

import msgspec

from include.contract.compression import GZIP_MAGIC, InflateError, TooLargeError
from include.contract.envelope import ContentEncoding
from ingest_api import encodings
from ingest_api.admission import Admission, Room
from ingest_api.encodings import Encoding
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.patience import Patience
from ingest_api.rsgi import Request
from ingest_api.settings import Settings

_DISCARDED_BYTES = 32 * 1024 * 1024
"""Most of a body above the limit that is read and forgotten: who still sends would not see the answer."""
_PATIENCE_SECONDS = 1.0
_BROKEN_CHUNKS = (
    "the chunked body ended early, or a chunk is malformed, or trailers came without a header Trailer; "
    "send the same bytes again, without trailers"
)
_LARGE_BYTES = 512 * 1024
"""What inflates to more does so on a thread, and one after the other: their bytes count only when it is done, and
bombs must not take more than one core."""


_MARK = b"\xef\xbb\xbf"
"""The byte order mark that some systems begin a text with; it means nothing in UTF-8 and is no JSON (RFC 8259)."""


class Body(msgspec.Struct, frozen=True, gc=False):
    """The bytes to store, the client's own where the drain knows their encoding, and what they inflate to.

    A byte order mark is left out of both.
    """

    raw: bytes
    inflated: bytes
    encoding: ContentEncoding


class Bodies:
    """Reads the bodies of a process."""

    def __init__(self, api: Settings, admission: Admission, loop: asyncio.AbstractEventLoop) -> None:
        self._max_bytes = api.max_body_bytes
        self._max_inflated = api.max_inflated_bytes
        self._at_once = admission.at_once_bytes
        self._admission = admission
        self._patience = Patience(api.body_timeout_ms / 1000, loop)
        self._lane = Room(1, api.in_flight_wait_ms / 1000, loop)

    async def read(self, request: Request) -> Body:
        """Read the body; raises RefusedError when it may not be taken: size, time, encoding, too much in progress."""
        encoding = encodings.named(request.scope.headers.get("content-encoding"))
        if encoding is None:
            raise RefusedError(Outcome.UNSUPPORTED_ENCODING)
        length = _length(request)
        if length is not None and length > self._max_bytes:
            raise RefusedError(Outcome.BODY_TOO_LARGE, _above(self._max_bytes))
        size = self._at_once if length is None or length > self._at_once else length
        if not self._admission.bytes.take(size):
            await self._admission.bytes.wait(size)
        request.held_bytes = size
        raw = await self._receive(request, length)
        request.is_unread = False
        if not self._admission.requests.take(1):
            await self._admission.requests.wait(1)
        request.is_in_work = True
        if raw.startswith(GZIP_MAGIC):
            encoding = "gzip"
        return self._plain(raw) if encoding == "identity" else await self._opened(request, raw, encoding)

    async def discard(self, request: Request) -> None:
        """Read on for a while, as long as the client sends; one that waits for its answer gets it after a second."""
        if not request.is_unread:
            return
        request.is_unread = False
        length = _length(request)
        if length == 0 or (length is not None and length > self._max_bytes + _DISCARDED_BYTES):
            return
        task = self._patience.begin()
        try:
            await (_soon(request) if length is not None and length <= self._at_once else _forgotten(request))
        except (RuntimeError, TimeoutError):
            return
        except asyncio.CancelledError:
            if not self._patience.was_late(task):
                raise
        finally:
            self._patience.end(task)

    async def _receive(self, request: Request, length: int | None) -> bytes:
        task = self._patience.begin()
        try:
            if length is not None and length <= self._at_once:
                return await request.protocol()
            return await self._pieces(request)
        except asyncio.CancelledError as error:
            if not self._patience.was_late(task):
                raise
            request.is_unread = False
            raise RefusedError(Outcome.BODY_TIMEOUT) from error
        except RuntimeError as error:
            # granian's own errors for a client that is gone are RuntimeErrors.
            request.is_unread = False
            raise RefusedError(Outcome.INCOMPLETE_BODY) from error
        finally:
            self._patience.end(task)

    async def _pieces(self, request: Request) -> bytes:
        """Read piece by piece, and know a body that was cut off.

        granian's iterator hides an error: a broken chunk or an early end is one empty piece, as trailers are, and then
        comes the empty piece that ends every body.
        """
        found, empty = bytearray(), 0
        async for piece in request.protocol:
            found += piece
            empty += not piece
            if len(found) > self._max_bytes:
                raise RefusedError(Outcome.BODY_TOO_LARGE, _above(self._max_bytes))
            if len(found) > request.held_bytes:
                self._admission.grow(request, len(found) - request.held_bytes, is_large=True)
        if empty > 1 and request.scope.headers.get("trailer") is None:
            request.is_unread = False
            raise RefusedError(Outcome.INCOMPLETE_BODY, _BROKEN_CHUNKS)
        return bytes(found)

    def _plain(self, raw: bytes) -> Body:
        if len(raw) > self._max_inflated:
            raise RefusedError(Outcome.BODY_TOO_LARGE, _above(self._max_inflated))
        raw = raw.removeprefix(_MARK)
        return Body(raw, raw, "identity")

    async def _opened(self, request: Request, raw: bytes, encoding: Encoding) -> Body:
        if encoding == "gzip" and not raw.startswith(GZIP_MAGIC):
            raise RefusedError(Outcome.INVALID_GZIP, "the body is declared gzip but does not start as gzip does")
        try:
            body = self._small(raw, encoding)
            if body is None:
                return await self._large(request, raw, encoding)
            self._admission.grow(request, len(body.inflated), is_large=False)
        except TooLargeError as error:
            raise RefusedError(Outcome.BODY_TOO_LARGE, f"{error}; send fewer events at a time") from error
        except InflateError as error:
            outcome = Outcome.INVALID_GZIP if encoding == "gzip" else Outcome.INVALID_COMPRESSION
            raise RefusedError(outcome, str(error)) from error
        return body

    async def _large(self, request: Request, raw: bytes, encoding: Encoding) -> Body:
        if encodings.announced_bytes(raw, encoding) > self._max_inflated:
            raise TooLargeError(f"the body inflates to more than {self._max_inflated} bytes")
        if not self._lane.take(1):
            await self._lane.wait(1)
        try:
            body = await asyncio.to_thread(_inflated, raw, encoding, self._max_inflated)
            self._admission.grow(request, len(body.inflated), is_large=True)
        finally:
            self._lane.give(1)
        return body

    def _small(self, raw: bytes, encoding: Encoding) -> Body | None:
        """Inflate a body at once; None where that would hold up the other requests."""
        if len(raw) > _LARGE_BYTES:
            return None
        try:
            return _inflated(raw, encoding, min(_LARGE_BYTES, self._max_inflated))
        except TooLargeError:
            return None


def _inflated(raw: bytes, encoding: Encoding, limit: int) -> Body:
    inflated = encodings.decoded(raw, encoding, limit)
    text = inflated.removeprefix(_MARK)
    is_own = encoding == "gzip" and len(text) == len(inflated)
    return Body(raw if is_own else encodings.compressed(text), text, "gzip")


def _length(request: Request) -> int | None:
    """Return the declared length; None where chunks say how long the body is, which win over a length (RFC 9112)."""
    headers = request.scope.headers
    if headers.get("transfer-encoding") is not None:
        return None
    length = headers.get("content-length", "0") or ""
    return int(length[:20]) if length.isascii() and length.isdigit() else None


async def _soon(request: Request) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await request.protocol()


async def _forgotten(request: Request) -> None:
    seen, clock = 0, asyncio.get_running_loop().time
    async with asyncio.timeout(_PATIENCE_SECONDS) as patience:
        async for piece in request.protocol:
            seen += len(piece)
            if seen > _DISCARDED_BYTES:
                return
            patience.reschedule(clock() + _PATIENCE_SECONDS)


def _above(limit: int) -> str:
    return f"the body is above {limit} bytes; send fewer events at a time"
