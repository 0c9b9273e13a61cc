"""Divides a request that is too large for one Kafka record into requests of the same form with some events each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from include.contract.extra import Fields, join, readable_fields

CUT_KEY = "$cut"
"""Key of what is kept of an event that no record can hold: how it begins, its size and its hash."""

CUT_BYTES = 64 * 1024
"""Most of its beginning: more than an event may have in its JSON columns, so that it never passes for a whole one."""

_SHORT_BYTES = 255
_SHORT_BYTES_IN_ALL = 4_096


class Part(NamedTuple):
    """Events `start` to `start + events` of a request, as a body of its own."""

    start: int
    events: int
    body: bytes


def divide(
    request: Fields, events_key: str, events: Sequence[bytes], limit: int, reasons: Mapping[int, int] | None = None
) -> Iterator[Part]:
    """Yield bodies of at most `limit` bytes, where single events allow it: each event as the client wrote it.

    `request` is what the request has beside its events; every part has all of it. `reasons` is the room that a bad
    event's reason takes beside the body.
    """
    head = join(request)[:-1] + (b"," if request else b"") + b'"' + events_key.encode() + b'":['
    start, held, size, more = 0, list[bytes](), len(head), reasons or {}
    for index, event in enumerate(events):
        room = len(event) + more.get(index, 0)
        if held and size + room + 3 > limit:
            yield Part(start, len(held), head + b",".join(held) + b"]}")
            start, held, size = index, [], len(head)
        held.append(event)
        size += room + 1
    if held:
        yield Part(start, len(held), head + b",".join(held) + b"]}")


def cut(event: bytes, kept_bytes: int) -> bytes:
    """Return what stands for an event that no record can hold: its short values as they were, and how it begins."""
    begins = event[: min(kept_bytes, CUT_BYTES)].decode(errors="replace")
    about = {"bytes": len(event), "sha256": sha256(event).hexdigest(), "begins": begins}
    return join({**_short(event), CUT_KEY: msgspec.Raw(msgspec.json.encode(about))})


def _short(event: bytes) -> Fields:
    kept, size = Fields(), 0
    for key, raw in readable_fields(event).items():
        value = bytes(raw)
        if len(value) > _SHORT_BYTES or value[:1] in b"{[" or not value.isascii():
            continue
        size += len(key) + len(value)
        if size > _SHORT_BYTES_IN_ALL:
            break
        kept[key] = raw
    return kept
