"""The form of a spooled record on disk, so made that a torn end, damage and a sent record can be told apart.

A frame is a head and a payload (msgpack). The head has the checksum of the payload and one of itself; one byte outside
of both says that Kafka has the record, and is overwritten in place. Damage costs the frames it hits: reading goes on
at the next head.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import msgspec

_MAGIC = b"SP1"
_HEAD = struct.Struct(">3scIII")
"""Magic, state, payload length, checksum of the payload, checksum of length and payload checksum."""
_SUMS = struct.Struct(">II")
_WAITING = b"w"
DONE = b"d"
STATE_OFFSET = len(_MAGIC)

Headers = list[tuple[str, bytes | None]]


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A Kafka record that waits; `spooled_at` in seconds since 1970, so that its age survives a restart."""

    spooled_at: float
    key: str | None
    value: bytes
    headers: Headers


class Frame(NamedTuple):
    """A record and where its frame starts in the file."""

    offset: int
    record: Record


class Scan(NamedTuple):
    """What a file has: records still to send, bytes that nobody can read, and bytes of a write that never ended."""

    frames: list[Frame]
    damaged_bytes: int
    torn_bytes: int


_decoder = msgspec.msgpack.Decoder(Record)
_encode = msgspec.msgpack.Encoder().encode


def encode(record: Record) -> bytes:
    """Return the frame of a record that waits."""
    return frame(_encode(record), _WAITING)


def frame(payload: bytes, state: bytes) -> bytes:
    """Return a frame of any payload; one that is DONE from the start only fills the file."""
    length, checksum = len(payload), zlib.crc32(payload)
    return _HEAD.pack(_MAGIC, state, length, checksum, zlib.crc32(_SUMS.pack(length, checksum))) + payload


def scan(data: bytes) -> Scan:
    """Read a whole file."""
    frames: list[Frame] = []
    at = damaged = 0
    while at < len(data):
        if _is_torn(data, at):
            return Scan(frames, damaged, len(data) - at)
        length = _length(data, at)
        if length is None:
            following = data.find(_MAGIC, at + 1)
            following = following if following >= 0 else len(data)
            damaged += following - at
            at = following
            continue
        end = at + _HEAD.size + length
        if data[at + STATE_OFFSET : at + STATE_OFFSET + 1] == _WAITING:
            try:
                frames.append(Frame(at, _decoder.decode(memoryview(data)[at + _HEAD.size : end])))
            except msgspec.DecodeError:
                damaged += end - at
        at = end
    return Scan(frames, damaged, 0)


def _is_torn(data: bytes, at: int) -> bool:
    """Say whether only the start of a write is left, or the zeros of a file that grew before a power cut."""
    if len(data) - at < _HEAD.size:
        return data[at : at + len(_MAGIC)] == _MAGIC[: len(data) - at] or not data[at:].strip(b"\0")
    magic, _, length, checksum, own = _HEAD.unpack_from(data, at)
    if magic == _MAGIC and own == zlib.crc32(_SUMS.pack(length, checksum)):
        return bool(at + _HEAD.size + length > len(data))
    return data[at] == 0 and not data[at:].strip(b"\0")


def _length(data: bytes, at: int) -> int | None:
    """Return the payload's length, or None when head or payload are damaged."""
    if len(data) - at < _HEAD.size:
        return None
    magic, state, length, checksum, own = _HEAD.unpack_from(data, at)
    if magic != _MAGIC or state not in {_WAITING, DONE} or own != zlib.crc32(_SUMS.pack(length, checksum)):
        return None
    start = at + _HEAD.size
    return int(length) if zlib.crc32(memoryview(data)[start : start + length]) == checksum else None
