"""Inflating within a limit."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.compression import InflateError, TooLargeError, inflate

PLAIN = b"analytics " * 1000
PACKED = gzip.compress(PLAIN, mtime=0)


@given(st.lists(st.binary(), min_size=1, max_size=3), st.integers(1, 9))
def test_one_or_several_members(parts: list[bytes], level: int) -> None:
    packed = b"".join(gzip.compress(part, level) for part in parts)
    plain = b"".join(parts)
    assert inflate(packed, len(plain)) == plain


def test_the_limit_is_exact() -> None:
    assert inflate(PACKED, len(PLAIN)) == PLAIN
    with pytest.raises(TooLargeError, match=f"more than {len(PLAIN) - 1} bytes"):
        inflate(PACKED, len(PLAIN) - 1)
    with pytest.raises(TooLargeError):
        inflate(PACKED + PACKED, 2 * len(PLAIN) - 1)


@pytest.mark.parametrize("zeros", [1, 511, 100_000])
def test_zeros_at_the_end_are_passed_over_as_gzip_does(zeros: int) -> None:
    assert inflate(PACKED + bytes(zeros), len(PLAIN)) == PLAIN
    assert inflate(PACKED + PACKED + bytes(zeros), 2 * len(PLAIN)) == PLAIN + PLAIN


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x1f\x8b",
        PACKED[:5],
        PACKED[:-1],
        PACKED[:-9],
        PACKED[:-6] + b"\0\0" + PACKED[-4:],
        PACKED[:12] + b"\xff\xff\xff" + PACKED[15:],
        PACKED + b"garbage",
        PACKED + b"\0\0garbage",
        b"\0" + PACKED,
        PACKED + PACKED[:-1],
        b"plain text",
    ],
)
def test_what_is_not_whole_gzip_is_refused(broken: bytes) -> None:
    with pytest.raises(InflateError):
        inflate(broken, 1_000_000)


def test_a_bomb_costs_no_more_than_the_limit() -> None:
    bomb = gzip.compress(bytes(200_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            inflate(bomb, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
