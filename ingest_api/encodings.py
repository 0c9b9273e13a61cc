"""Undoes a body's Content-Encoding within a limit, and knows which of them the pipeline keeps.

gzip stays as the client sent it all the way to the lake. The drain knows no other encoding, so a body in zstd, br or
deflate is stored as gzip: its JSON is the client's own, its compression is not.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Literal

import brotli
from backports import zstd
from isal import isal_zlib

from include.contract.compression import MAX_MEMBERS, InflateError, TooLargeError, inflate

Encoding = Literal["gzip", "zstd", "br", "deflate", "identity"]

_NAMES: dict[str, Encoding] = {
    "": "identity",
    "identity": "identity",
    "gzip": "gzip",
    "x-gzip": "gzip",
    "zstd": "zstd",
    "br": "br",
    "deflate": "deflate",
}
_GZIP_WINDOW = 31
_MOST_RATIO = 1_032
"""The most that deflate compresses; the end of a truncated body mostly announces more."""
_PIECE_BYTES = 64 * 1024
# What a decoder of HTTP has to understand (RFC 9659); more would be memory that the sender chooses.
_ZSTD_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}


def named(header: str | None) -> Encoding | None:
    """Return the encoding that a Content-Encoding header names; None for one that is not known."""
    return _NAMES.get(header.strip().lower()) if header else "identity"


def compressed(body: bytes) -> bytes:
    """Return a body as gzip, the same for the same body."""
    packed: bytes = isal_zlib.compress(body, 1, wbits=_GZIP_WINDOW)
    return packed


def decoded(data: bytes, encoding: Encoding, limit: int) -> bytes:
    """Inflate a whole body; never holds more than about `limit` bytes beside it.

    Raises InflateError for a broken, truncated or followed-by-garbage stream, TooLargeError above `limit` bytes.
    """
    return _DECODERS[encoding](data, limit)


def announced_bytes(data: bytes, encoding: Encoding) -> int:
    """Return what a body says to inflate to; 0 where it says nothing believable.

    gzip ends with the size of its last stream (RFC 1952), so that an honest bomb is known without inflating it.
    """
    size = int.from_bytes(data[-4:], "little") if encoding == "gzip" else 0
    return size if size <= len(data) * _MOST_RATIO else 0


def _zstd(data: bytes, limit: int) -> bytes:
    whole = b""
    for _ in range(MAX_MEMBERS):
        frame = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
        try:
            whole += frame.decompress(data, limit + 1 - len(whole))
        except zstd.ZstdError as error:
            raise InflateError(f"not valid zstd: {error}") from error
        _require_within(len(whole), limit)
        if not frame.eof:
            raise InflateError("the zstd stream ends early")
        data = frame.unused_data
        if not data:
            return whole
    raise InflateError(f"more than {MAX_MEMBERS} zstd frames one after the other")


def _br(data: bytes, limit: int) -> bytes:
    stream, pieces, size = brotli.Decompressor(), [], 0
    try:
        while not stream.is_finished() and (data or not stream.can_accept_more_data()):
            pieces.append(stream.process(data, output_buffer_limit=_PIECE_BYTES))
            data, size = b"", size + len(pieces[-1])
            _require_within(size, limit)
    except brotli.error as error:
        raise InflateError(f"not valid br: {error}") from error
    if not stream.is_finished():
        raise InflateError("the br stream ends early")
    return b"".join(pieces)


def _deflate(data: bytes, limit: int) -> bytes:
    """Inflate zlib's format, which `deflate` means (RFC 9110), and the bare one, which some clients send."""
    is_zlib = len(data) >= 2 and data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
    stream: Any = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
    try:
        whole: bytes = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise InflateError(f"not valid deflate: {error}") from error
    _require_within(len(whole), limit)
    if not stream.eof:
        raise InflateError("the deflate stream ends early")
    if stream.unused_data:
        raise InflateError("something follows the deflate stream")
    return whole


def _identity(data: bytes, limit: int) -> bytes:
    _require_within(len(data), limit)
    return data


def _require_within(size: int, limit: int) -> None:
    if size > limit:
        raise TooLargeError(f"the body inflates to more than {limit} bytes")


_DECODERS: dict[Encoding, Callable[[bytes, int], bytes]] = {
    "gzip": inflate,
    "zstd": _zstd,
    "br": _br,
    "deflate": _deflate,
    "identity": _identity,
}
