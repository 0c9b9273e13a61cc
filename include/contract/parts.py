"""Divides a request that is too large for one Kafka record into requests of the same form with some events each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from include.contract.extra import Fields, join


class Part(NamedTuple):
    """Events `start` to `start + events` of a request, as a body of its own."""

    start: int
    events: int
    body: bytes


def divide(request: Fields, events_key: str, events: Sequence[bytes], limit: int) -> Iterator[Part]:
    """Yield bodies of at most `limit` bytes, where single events allow it: each event as the client wrote it.

    `request` is what the request has beside its events; every part has all of it.
    """
    head = join(request)[:-1] + (b"," if request else b"") + b'"' + events_key.encode() + b'":['
    start, held, size = 0, list[bytes](), len(head)
    for index, event in enumerate(events):
        if held and size + len(event) + 3 > limit:
            yield Part(start, len(held), head + b",".join(held) + b"]}")
            start, held, size = index, [], len(head)
        held.append(event)
        size += len(event) + 1
    if held:
        yield Part(start, len(held), head + b",".join(held) + b"]}")
