"""Inflates a client's gzip body within a limit, for the edge, which refuses bombs, and the drain, which reads them."""

from __future__ import annotations

from isal import isal_zlib

GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
MAX_MEMBERS = 100
"""Most streams one after the other in a body: each costs a copy of all that follows it, so that a megabyte of empty
ones would take a second."""


class InflateError(ValueError):
    """The bytes are not a whole gzip stream."""


class TooLargeError(ValueError):
    """The inflated bytes would pass the limit; inflating stopped there."""


def inflate(data: bytes, limit: int) -> bytes:
    """Inflate gzip of one or several members and zeros behind them; never holds more than `limit` + 1 inflated bytes.

    Raises InflateError for a broken, truncated or followed-by-garbage stream and for more than MAX_MEMBERS of them,
    TooLargeError above `limit` bytes.
    """
    whole, rest = _member(data, limit)
    members = 1
    while rest.strip(b"\0"):  # gzip(1) passes over zeros with which a block was filled
        if members == MAX_MEMBERS:
            raise InflateError(f"more than {MAX_MEMBERS} gzip streams one after the other")
        more, rest = _member(rest, limit - len(whole))
        whole += more
        members += 1
    return whole


def _member(data: bytes, limit: int) -> tuple[bytes, bytes]:
    stream = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        inflated: bytes = stream.decompress(data, limit + 1)
    except isal_zlib.error as error:  # type: ignore[misc]  # the stub declares it as an instance
        raise InflateError(f"not valid gzip: {error}") from error
    if len(inflated) > limit:
        raise TooLargeError(f"the body inflates to more than {limit} bytes")
    if not stream.eof:
        raise InflateError("the gzip stream ends early")
    return inflated, stream.unused_data
