"""A body on its way: plain, gzip in all its forms, or broken and wrongly declared."""

from __future__ import annotations

import gzip
import struct
import zlib

from hypothesis import strategies as st

Headers = tuple[tuple[str, bytes], ...]
_GZIP: Headers = (("Content-Encoding", b"gzip"),)
_ODD_VALUES = (b"", b" ", b"gzip, gzip", b"br", b"deflate", b"zstd", b"gzip;q=1", b"\xe9\xff", b"x" * 5000, b"chunked")
_FINE_NAMES = (b"gzip", b"GZIP", b" x-gzip ", b"Gzip")


def _members(text: bytes, cut: int) -> bytes:
    return gzip.compress(text[:cut]) + gzip.compress(text[cut:]) + gzip.compress(b"")


def _with_head(text: bytes) -> bytes:
    """Return gzip with every optional part of its head."""
    raw = zlib.compressobj(wbits=-15)
    data = raw.compress(text) + raw.flush()
    head = b"\x1f\x8b\x08\x1c" + bytes(6) + b"\x04\0ABCD" + b"name\0" + b"remark\0"
    return head + data + struct.pack("<II", zlib.crc32(text), len(text) & 0xFFFFFFFF)


@st.composite
def packed(draw: st.DrawFn, text: bytes) -> tuple[bytes, Headers, bytes | None]:
    """Return a body to send, its headers, and what it inflates to; None where nobody can tell."""
    whole = gzip.compress(text, 1)
    name = draw(st.sampled_from(_FINE_NAMES))
    fine = [
        (text, (), text),
        (text, (("Content-Encoding", b"identity"),), text),
        (whole, (("Content-Encoding", name),), text),
        (whole, (), text),
        (_members(text, draw(st.integers(0, len(text)))), _GZIP, text),
        (_with_head(text), _GZIP, text),
    ]
    if draw(st.integers(0, 4)):
        return draw(st.sampled_from([one for one in fine if not (one[0] is text and text[:2] == b"\x1f\x8b")]))
    flipped = bytearray(whole)
    flipped[draw(st.integers(0, len(whole) - 1))] ^= 1 << draw(st.integers(0, 7))
    broken = [whole[: draw(st.integers(0, len(whole) - 1))], bytes(flipped), whole + b"garbage", gzip.compress(whole)]
    broken += [text, whole + b"\0", whole + whole[:12], b"\x1f\x8b" + text]
    odd = draw(st.sampled_from(_ODD_VALUES))
    return draw(
        st.sampled_from([(body, _GZIP, None) for body in broken] + [(text, (("Content-Encoding", odd),), None)])
    )
