"""Content encodings beside gzip: whole, within the limit, and nothing after them."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from include.contract.compression import MAX_MEMBERS, InflateError, TooLargeError
from ingest_api.encodings import Encoding, announced_bytes, compressed, decoded, named

PLAIN = b'{"events":[]}' * 2000


def _bare(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


PACK: dict[Encoding, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "br": brotli.compress,
    "deflate": zlib.compress,
}


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        (None, "identity"), ("", "identity"), (" Identity ", "identity"), ("GZIP", "gzip"), ("x-gzip", "gzip"),
        ("zstd", "zstd"), ("br", "br"), ("Deflate", "deflate"),
        ("gzip, gzip", None), ("compress", None), ("dcz", None), ("gzip;q=1", None),
    ],
)  # fmt: skip
def test_names(header: str | None, encoding: Encoding | None) -> None:
    assert named(header) == encoding


@given(st.binary(), st.sampled_from(sorted(PACK)))
def test_what_was_packed_comes_back(plain: bytes, encoding: Encoding) -> None:
    assert decoded(PACK[encoding](plain), encoding, len(plain)) == plain


@given(st.binary())
def test_deflate_without_a_header_is_known_too(plain: bytes) -> None:
    packed = _bare(plain)
    looks_like_zlib = packed[0] & 0x0F == 8 and int.from_bytes(packed[:2]) % 31 == 0
    assert looks_like_zlib or decoded(packed, "deflate", len(plain)) == plain


@pytest.mark.parametrize("encoding", sorted(PACK))
def test_the_limit_is_exact(encoding: Encoding) -> None:
    packed = PACK[encoding](PLAIN)
    assert decoded(packed, encoding, len(PLAIN)) == PLAIN
    with pytest.raises(TooLargeError, match=f"more than {len(PLAIN) - 1} bytes"):
        decoded(packed, encoding, len(PLAIN) - 1)


@pytest.mark.parametrize("encoding", sorted(PACK))
def test_what_is_not_whole_is_refused(encoding: Encoding) -> None:
    packed = PACK[encoding](PLAIN)
    for broken in (b"", packed[:1], packed[:-1], packed + b"x", packed[:10] + b"\xff\xff" + packed[12:], PLAIN):
        with pytest.raises(InflateError):
            decoded(broken, encoding, 1_000_000)


def test_streams_one_after_the_other_are_one_body_where_the_format_allows_it() -> None:
    several: tuple[Encoding, ...] = ("gzip", "zstd")
    for encoding in several:
        packed = PACK[encoding](PLAIN)
        assert decoded(packed * 3, encoding, 3 * len(PLAIN)) == PLAIN * 3
        with pytest.raises(TooLargeError):
            decoded(packed * 3, encoding, 3 * len(PLAIN) - 1)
        empty = PACK[encoding](b"")
        assert decoded(empty * MAX_MEMBERS, encoding, 10) == b""
        with pytest.raises(InflateError, match=f"more than {MAX_MEMBERS}"):
            decoded(empty * (MAX_MEMBERS + 1), encoding, 10)
    for encoding in PACK.keys() - several:
        with pytest.raises(InflateError):
            decoded(PACK[encoding](PLAIN) * 2, encoding, 1_000_000)


@pytest.mark.parametrize("encoding", sorted(PACK))
def test_a_bomb_costs_no_more_than_the_limit(encoding: Encoding) -> None:
    bomb = PACK[encoding](bytes(20_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            decoded(bomb, encoding, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_an_honest_bomb_is_known_by_its_end() -> None:
    bomb = gzip.compress(bytes(20_000_000))
    assert announced_bytes(bomb, "gzip") == 20_000_000
    assert announced_bytes(bomb, "zstd") == 0
    assert announced_bytes(gzip.compress(PLAIN), "gzip") == len(PLAIN)
    assert announced_bytes(bomb[:1000] + b"\xff\xff\xff\xff", "gzip") == 0, "no more than deflate can compress"


def test_zstd_may_not_ask_for_more_memory_than_http_allows() -> None:
    # Only a frame whose size is not known beforehand needs its whole window.
    stream = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    packed = stream.compress(PLAIN, mode=stream.FLUSH_BLOCK) + stream.compress(PLAIN, mode=stream.FLUSH_FRAME)
    with pytest.raises(InflateError, match="too much memory"):
        decoded(packed, "zstd", 1_000_000)


def test_what_is_stored_is_the_same_gzip_for_the_same_body() -> None:
    assert compressed(PLAIN) == compressed(PLAIN)
    assert gzip.decompress(compressed(PLAIN)) == PLAIN
