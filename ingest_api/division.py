"""Divides what one Kafka record cannot hold, for `storing` and for whoever asks what storing would do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from include.contract.extra import Fields, join
from include.contract.parts import cut, divide
from ingest_api.encodings import compressed
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.settings import Configuration

_HEADERS_BYTES = 4_096
"""Room for a record's key and headers beside its value, but for the reasons of bad events."""
_INDEX_BYTES = 10
_INCOMPRESSIBLE = 1_000
"""Of what cannot be compressed gzip makes more: far less than a thousandth."""


class Piece(NamedTuple):
    """Events `start` to `start + events` of a request as the value of a record, in gzip."""

    start: int
    events: int
    value: bytes
    rejected: Mapping[int, str]
    """Reasons of the piece's own bad events, by their index in the piece."""


def reasons(found: Iterable[Piece]) -> dict[int, str]:
    """Return the reason of each bad event of a divided request, by its index there."""
    return {piece.start + index: why for piece in found for index, why in piece.rejected.items()}


def record_bytes(configuration: Configuration) -> int:
    """Return how many bytes the value of a record and the reasons of its bad events may have together."""
    return configuration.topic.max_message_bytes - _HEADERS_BYTES


def fits(value_bytes: int, rejected: Mapping[int, str], limit: int) -> bool:
    """Tell whether one record holds a value and the reasons of its bad events."""
    return value_bytes + (len(msgspec.json.encode(rejected)) if rejected else 0) <= limit


def pieces(
    about: Fields, events_key: str, events: Sequence[bytes], rejected: Mapping[int, str], limit: int
) -> Iterator[Piece]:
    """Yield a request in pieces that fit; an event that fits into none is cut short and becomes a bad one.

    An empty `events_key` means that the body is one event. Raises RefusedError where what is beside the events leaves
    no room for them.
    """
    if not events_key:
        yield _whole(events[0], rejected, limit)
        return
    if len(join(about)) > limit // 2:
        raise _too_much_beside(limit // 2)
    sizes = {index: len(msgspec.json.encode(why)) + _INDEX_BYTES for index, why in rejected.items()}
    for part in divide(about, events_key, events, limit - limit // _INCOMPRESSIBLE, sizes):
        value = compressed(part.body)
        own: Mapping[int, str] = {
            index: rejected[index + part.start] for index in range(part.events) if index + part.start in rejected
        }
        if part.events == 1 and not fits(len(value), own, limit):
            value, own = _cut_short(about, events_key, events[part.start], own, limit)
        yield Piece(part.start, part.events, value, own)


def _whole(event: bytes, rejected: Mapping[int, str], limit: int) -> Piece:
    value = compressed(event)
    if fits(len(value), rejected, limit):
        return Piece(0, 1, value, rejected)
    return Piece(0, 1, *_cut_short({}, "", event, rejected, limit))


def _cut_short(
    about: Fields, events_key: str, event: bytes, own: Mapping[int, str], limit: int
) -> tuple[bytes, Mapping[int, str]]:
    own = own or {0: f"larger than {limit} bytes in gzip, the most that can be stored; only how it begins is kept"}
    kept_bytes = limit // 2
    while kept_bytes:
        short = cut(event, kept_bytes)
        body = next(divide(about, events_key, [short], limit)).body if events_key else short
        if fits(len(value := compressed(body)), own, limit):
            return value, own
        kept_bytes //= 2
    raise _too_much_beside(limit // 2)


def _too_much_beside(most: int) -> RefusedError:
    return RefusedError(
        Outcome.RECORD_TOO_LARGE, f"what is beside the events is above {most:,} bytes; make it smaller, or leave it out"
    )
