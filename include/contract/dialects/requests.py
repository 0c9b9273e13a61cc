"""What mapped dialects have in common: a request's events one by one, its time of sending, what is left of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from msgspec import Raw

from include.contract.dialects import kinds
from include.contract.dialects.mapping import Mapped
from include.contract.envelope import Envelope
from include.contract.event import Event, Parsed
from include.contract.extra import (
    UNREADABLE,
    Fields,
    about_request,
    fields_of,
    free_key,
    join,
    loose_fields,
    request_fields,
)
from include.contract.splitting import split

_EMPTY = (b"null", b"{}")
REMOTE_IP = b'"$remote"'


class Shape(NamedTuple):
    """What a dialect's requests have beside the events; `merged` belongs to the events themselves."""

    ignored: frozenset[str]
    sent_at: tuple[str, ...]
    merged: frozenset[str] = frozenset()


Map = Callable[[bytes | Raw, Fields, Fields, Envelope], Mapped]


def parse(body: bytes, envelope: Envelope, events_key: str, shape: Shape, map_event: Map) -> Parsed:
    """Decode an inflated body event by event; an empty `events_key` means that the body is one event."""
    raws = split(body, events_key) if events_key else [body]
    request = request_fields(body, events_key) if events_key else loose_fields(body)
    sent_at = _sent_at(request, shape, envelope)
    parsed = Parsed([], sent_at, {}, {})
    kept = _kept(request, shape, sent_at) if events_key else None
    for index, raw in enumerate(raws):
        event, extra, problem = _mapped(raw, request if events_key else {}, envelope, map_event)
        parsed.events.append(event)
        for key in () if events_key else (*shape.ignored, *shape.sent_at):
            extra.pop(key, None)
        if kept is not None:
            extra[free_key(extra)] = kept
        if extra:
            parsed.extra[index] = join(extra)
        if problem:
            parsed.problems[index] = problem
    return parsed


def _mapped(raw: bytes, request: Fields, envelope: Envelope, map_event: Map) -> Mapped:
    try:
        fields = fields_of(raw)
    except UNREADABLE as error:
        return Mapped(Event(), {}, str(error))
    mapped = map_event(raw, fields, request, envelope)
    if mapped.event.platform is None and envelope.platform:
        mapped.event.platform = envelope.platform
    if bytes(mapped.extra.get("ip", b"")) == REMOTE_IP:
        # The client asks for the address that the edge sees; what of it may be known is the edge's decision.
        mapped.extra.pop("ip")
        if envelope.client_ip:
            mapped.extra["ip"] = Raw(b'"' + envelope.client_ip.encode() + b'"')
    return mapped


def _sent_at(request: Fields, shape: Shape, envelope: Envelope) -> datetime | None:
    texts = [request[key] for key in shape.sent_at if key in request]
    if envelope.client_sent_at:
        texts.append(Raw(b'"' + envelope.client_sent_at.encode() + b'"'))
    for text in texts:
        try:
            found = kinds.moment(text)
        except (ValueError, *UNREADABLE):
            continue
        if found:
            return found
    return None


def _kept(request: Fields, shape: Shape, sent_at: datetime | None) -> Raw | None:
    known = shape.ignored | (set(shape.sent_at) if sent_at else set())
    known |= {key for key in shape.merged & request.keys() if bytes(request[key])[:1] == b"{"}
    return about_request({k: raw for k, raw in request.items() if k not in known and bytes(raw) not in _EMPTY})
