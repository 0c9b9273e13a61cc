"""What dialect v1 means: one envelope body into typed events, for the drain (the edge only checks)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime
from hashlib import sha256
from typing import Annotated

import msgspec

from include.contract.extra import UNREADABLE, Fields, about_request, fields_of, free_key, join, request_fields
from include.contract.splitting import split

CONTRACT_VERSION = 1
UtcTime = Annotated[datetime, msgspec.Meta(tz=True)]
ABSENT = msgspec.Raw(b"null")


class Event(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One event of dialect v1; presence and plausibility are the suite's business, types are settled here."""

    event_id: str | None = None
    event_name: str | None = None
    schema_version: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    user_id: str | None = None
    device_id: str | None = None
    session_id: str | None = None
    occurred_at: UtcTime | None = None
    platform: str | None = None
    app_version: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    device_model: str | None = None
    locale: str | None = None
    country: str | None = None
    library_name: str | None = None
    library_version: str | None = None
    consent: msgspec.Raw = ABSENT
    event_properties: msgspec.Raw = ABSENT
    user_properties: msgspec.Raw = ABSENT


class _TolerantEvent(Event, gc=False, forbid_unknown_fields=False):
    """The same event where unknown keys are looked up separately."""


class _Request(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    events: list[Event]
    sent_at: UtcTime | None = None


class _Pieces(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A request of which each event is read alone."""

    events: list[msgspec.Raw]
    sent_at: msgspec.Raw = ABSENT


@dataclass(frozen=True, slots=True)
class Parsed:
    """A decoded request: `events[i]` with `extra[i]` (JSON text) and `problems[i]` where event i could not be read."""

    events: list[Event]
    sent_at: datetime | None
    extra: dict[int, bytes]
    problems: dict[int, str]


_request = msgspec.json.Decoder(_Request)
_pieces = msgspec.json.Decoder(_Pieces)
_strict = msgspec.json.Decoder(Event)
_tolerant = msgspec.json.Decoder(_TolerantEvent)
_time = msgspec.json.Decoder(UtcTime)
_string = msgspec.json.Decoder(str)
_ODD_YEARS = frozenset({MINYEAR, MAXYEAR})
_KNOWN = frozenset(Event.__struct_fields__)
_TEXT = frozenset({"event_id", "event_name", "user_id", "device_id", "platform", "app_version"})


def parse(body: bytes) -> Parsed:
    """Decode an inflated v1 body at once, and event by event only where that fails.

    Raises:
        NotARequestError: the body is not a request at all (not JSON, no list of events); a ValueError.

    """
    try:
        request = _request.decode(body)
    except UNREADABLE:
        return _parse_each(body)
    years = {event.occurred_at.year for event in request.events if event.occurred_at is not None}
    if in_calendar(request.sent_at) and years.isdisjoint(_ODD_YEARS):
        return Parsed(request.events, request.sent_at, {}, {})
    return _parse_each(body)


def derived_event_id(source_id: str, raw: bytes) -> str:
    """Return the id of an event that came without one: the same bytes from the same source give the same id."""
    return sha256(source_id.encode() + b"\0" + raw).hexdigest()


def _parse_each(body: bytes) -> Parsed:
    raws, fields = _pieces_of(body)
    parsed = Parsed([], _sent_at(fields.get("sent_at")), {}, {})
    if parsed.sent_at is not None or bytes(fields.get("sent_at", b"null")) == b"null":
        fields.pop("sent_at", None)
    request_keys = about_request(fields)
    for index, raw in enumerate(raws):
        event = _usual(raw)
        unknown: Fields = {}
        if event is None:
            event, unknown, problem = _parse_odd(raw)
            if problem:
                parsed.problems[index] = problem
        parsed.events.append(event)
        if request_keys is not None:
            unknown[free_key(unknown)] = request_keys
        if unknown:
            parsed.extra[index] = join(unknown)
    return parsed


def _usual(raw: bytes | msgspec.Raw) -> Event | None:
    """Read an event of nothing but known fields and right values; None for any other."""
    try:
        event = _strict.decode(raw)
    except UNREADABLE:
        return None
    return event if event.occurred_at is None or event.occurred_at.year not in _ODD_YEARS else None


def _pieces_of(body: bytes) -> tuple[Sequence[bytes | msgspec.Raw], Fields]:
    """Return each event's bytes, and what else the request has."""
    try:
        pieces = _pieces.decode(body)
    except UNREADABLE:
        return split(body), request_fields(body, "events")
    return pieces.events, {"sent_at": pieces.sent_at}


def _parse_odd(raw: bytes | msgspec.Raw) -> tuple[Event, Fields, str | None]:
    try:
        fields = fields_of(raw)
    except UNREADABLE as error:
        return Event(), {}, str(error)
    unknown = {key: value for key, value in fields.items() if key not in _KNOWN}
    try:
        event = _tolerant.decode(raw)
    except UNREADABLE as error:
        return msgspec.convert(dict(_readable(fields)), Event), unknown, str(error)
    if in_calendar(event.occurred_at):
        return event, unknown, None
    event.occurred_at = None
    return event, unknown, "occurred_at: a year that no database holds"


def _readable(fields: Fields) -> Iterator[tuple[str, str]]:
    """Yield the text fields of a broken event that can be read, so that a person can find it."""
    for key in _TEXT & fields.keys():
        try:
            yield key, _string.decode(fields[key])
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue


def _sent_at(raw: msgspec.Raw | None) -> datetime | None:
    try:
        moment = _time.decode(raw) if raw is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return moment if in_calendar(moment) else None


def in_calendar(moment: datetime | None) -> bool:
    """Tell whether a time can be held in UTC; in the first and the last year that depends on its zone."""
    return moment is None or MINYEAR < moment.year < MAXYEAR
