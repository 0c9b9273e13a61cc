"""The dialects that clients speak, by the name in the envelope: how the drain cuts and reads their bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from include.contract import event
from include.contract.dialects import amplitude, segment
from include.contract.envelope import Envelope
from include.contract.event import Parsed
from include.contract.extra import Fields, join, request_fields
from include.contract.splitting import split

_SEGMENT_CALLS = (segment.BATCH, *segment.CALLS)
CALLS_OF: Mapping[str, tuple[str, ...]] = {
    "v1": (),
    "amplitude": amplitude.CALLS,
    "segment": _SEGMENT_CALLS,
    "rudderstack": _SEGMENT_CALLS,
}
"""The dialects by the names that people say, each with its calls, the usual one first."""


class Reader(NamedTuple):
    """How the bodies of one dialect and call are read; `events_key` is empty where the body is one event."""

    events_key: str
    parse: Callable[[bytes, Envelope], Parsed]
    write_keys: frozenset[str] = frozenset()

    def split(self, body: bytes) -> list[bytes]:
        """Return the client's own bytes per event."""
        return split(body, self.events_key) if self.events_key else [body]

    def around(self, body: bytes) -> Fields:
        """Return what a request has beside its events, but for its write key."""
        if not self.events_key:
            return {}
        return {key: raw for key, raw in request_fields(body, self.events_key).items() if key not in self.write_keys}

    def request(self, around: Fields, event: bytes) -> bytes:
        """Return the request that has one event, as the client wrote it."""
        if not self.events_key:
            return event
        head = join(around)[:-1] + (b"," if around else b"")
        return head + b'"' + self.events_key.encode() + b'":[' + event + b"]}"


def reader(dialect: str, call: str = "") -> Reader:
    """Return the reader of an envelope's body; raises ValueError for a dialect that this version does not know."""
    match dialect:
        case "v1":
            return Reader("events", lambda body, _: event.parse(body))
        case "amplitude":
            return Reader(amplitude.events_key(call), amplitude.parse, amplitude.WRITE_KEYS)
        case "segment" | "rudder":
            return Reader(segment.events_key(call), segment.parse, segment.WRITE_KEYS)
    raise ValueError(f"dialect is {dialect[:40]!r}, which this reader does not know")
