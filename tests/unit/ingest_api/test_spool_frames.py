"""Frames on disk: whole, torn or damaged."""

from __future__ import annotations

from ingest_api.spool_frames import Record, encode, scan
from tests.unit.ingest_api.spool_folder import record


def test_a_record_comes_back_as_it_went_in() -> None:
    odd = Record(1.5, None, b"\x00SP1w\xff", [("a", None), ("b", b""), ("c", b"\xff")])
    found = scan(encode(odd) + encode(record(2)))
    assert found.frames[0].record == odd
    assert (len(found.frames), found.damaged_bytes, found.torn_bytes) == (2, 0, 0)


def test_every_torn_end_is_seen_as_one() -> None:
    whole = encode(record(1))
    for cut in range(1, len(whole)):
        found = scan(whole + whole[:cut])
        assert (len(found.frames), found.damaged_bytes, found.torn_bytes) == (1, 0, cut)
    assert scan(whole + bytes(5000)).torn_bytes == 5000


def test_any_flipped_byte_costs_one_record_and_is_noticed() -> None:
    whole = encode(record(1))
    for position in range(len(whole)):
        broken = bytearray(whole * 3)
        broken[len(whole) + position] ^= 0xFF
        found = scan(bytes(broken))
        assert len(found.frames) == 2
        assert found.damaged_bytes == len(whole)
