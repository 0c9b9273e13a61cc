"""Reads a request body within its limits and inflates it for checking; the bytes as they came are kept."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from include.contract.compression import GZIP_MAGIC, InflateError, TooLargeError, inflate
from include.contract.envelope import ContentEncoding
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Request

_DISCARDED_BYTES = 32 * 1024 * 1024
"""Most of a body above the limit that is read and forgotten: who still sends would not see the answer."""

_PATIENCE_SECONDS = 1.0


class Body(msgspec.Struct, frozen=True, gc=False):
    """The client's own bytes, and what they inflate to."""

    raw: bytes
    inflated: bytes
    encoding: ContentEncoding


async def read(request: Request, max_bytes: int, max_inflated_bytes: int) -> Body:
    """Read the body; raises RefusedError when it is too large, wrongly compressed or in an unknown encoding."""
    declared = _declared_encoding(request.scope.headers.get("content-encoding"))
    try:
        raw = await _read_bytes(request, max_bytes)
    except RuntimeError as error:
        # granian's own errors for a client that is gone are RuntimeErrors.
        raise RefusedError(Outcome.INCOMPLETE_BODY) from error
    if raw.startswith(GZIP_MAGIC):
        return Body(raw, _inflate(raw, max_inflated_bytes), "gzip")
    if declared == "gzip":
        raise RefusedError(Outcome.INVALID_GZIP, "the body is declared gzip but does not start as gzip does")
    if len(raw) > max_inflated_bytes:
        raise RefusedError(Outcome.BODY_TOO_LARGE, _above(max_inflated_bytes))
    return Body(raw, raw, "identity")


def _declared_encoding(header: str | None) -> ContentEncoding:
    match (header or "").strip().lower():
        case "gzip" | "x-gzip":
            return "gzip"
        case "" | "identity":
            return "identity"
    raise RefusedError(Outcome.UNSUPPORTED_ENCODING)


async def _read_bytes(request: Request, limit: int) -> bytes:
    length = request.scope.headers.get("content-length")
    if length is None or not (length.isascii() and length.isdigit()):
        return await _read_pieces(request, limit)
    if int(length[:20]) > limit + _DISCARDED_BYTES:
        raise RefusedError(Outcome.BODY_TOO_LARGE, _above(limit))
    if int(length) > limit:
        await _discard(request)
        raise RefusedError(Outcome.BODY_TOO_LARGE, _above(limit))
    return await request.protocol()


async def _read_pieces(request: Request, limit: int) -> bytes:
    pieces = bytearray()
    async for piece in request.protocol:
        pieces += piece
        if len(pieces) > limit:
            await _discard(request)
            raise RefusedError(Outcome.BODY_TOO_LARGE, _above(limit))
    return bytes(pieces)


async def _discard(request: Request) -> None:
    """Read on for a while, as long as the client sends; one that waits for its answer gets it after a second."""
    seen, clock = 0, asyncio.get_running_loop().time
    with contextlib.suppress(RuntimeError, TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS) as patience:
            async for piece in request.protocol:
                seen += len(piece)
                if seen > _DISCARDED_BYTES:
                    return
                patience.reschedule(clock() + _PATIENCE_SECONDS)


def _inflate(raw: bytes, limit: int) -> bytes:
    try:
        return inflate(raw, limit)
    except TooLargeError as error:
        raise RefusedError(Outcome.BODY_TOO_LARGE, str(error)) from error
    except InflateError as error:
        raise RefusedError(Outcome.INVALID_GZIP, str(error)) from error


def _above(limit: int) -> str:
    return f"the body is above {limit} bytes; send fewer events at a time"
