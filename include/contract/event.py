"""What dialect v1 means: one envelope body into typed events, for the drain (the edge only checks)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime
from hashlib import sha256
from operator import attrgetter
from typing import Annotated

import msgspec

from include.contract.splitting import around, split

CONTRACT_VERSION = 1
REQUEST_KEY = "$request"
"""Key in `extra` under which unknown keys of the request itself are kept."""

REQUEST_BYTES = 4_096
"""Unknown keys of a request that take more than this are counted in `extra`, not copied to each event."""

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


@dataclass(frozen=True, slots=True)
class Parsed:
    """A decoded request: `events[i]` with `extra[i]` (JSON text) and `problems[i]` where event i could not be read."""

    events: list[Event]
    sent_at: datetime | None
    extra: dict[int, bytes]
    problems: dict[int, str]


_request = msgspec.json.Decoder(_Request)
_strict = msgspec.json.Decoder(Event)
_tolerant = msgspec.json.Decoder(_TolerantEvent)
_time = msgspec.json.Decoder(UtcTime)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)
_KNOWN = frozenset(Event.__struct_fields__)
_TEXT = frozenset({"event_id", "event_name", "user_id", "device_id", "platform", "app_version"})


def parse(body: bytes) -> Parsed:
    """Decode an inflated v1 body at once, and event by event only where that fails.

    Raises:
        NotARequestError: the body is not a request at all (not JSON, no list of events); a ValueError.

    """
    try:
        request = _request.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_each(body)
    if all(map(_in_calendar, (request.sent_at, *map(attrgetter("occurred_at"), request.events)))):
        return Parsed(request.events, request.sent_at, {}, {})
    return _parse_each(body)


def derived_event_id(source_id: str, raw: bytes) -> str:
    """Return the id of an event that came without one: the same bytes from the same source give the same id."""
    return sha256(source_id.encode() + b"\0" + raw).hexdigest()


def _request_fields(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _fields.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _fields.decode(around(body).decode(errors="replace").encode())


def _parse_each(body: bytes) -> Parsed:
    raws = split(body)
    fields = _request_fields(body)
    parsed = Parsed([], _sent_at(fields.get("sent_at")), {}, {})
    about_request = {key: value for key, value in fields.items() if key not in {"events", "sent_at"}}
    if parsed.sent_at is None and "sent_at" in fields and bytes(fields["sent_at"]) != b"null":
        about_request["sent_at"] = fields["sent_at"]
    request_keys = _bounded(_join(about_request)) if about_request else None
    for index, raw in enumerate(raws):
        event, unknown, problem = _parse_one(raw)
        parsed.events.append(event)
        if request_keys is not None:
            unknown[_free_key(unknown)] = request_keys
        if unknown:
            parsed.extra[index] = _join(unknown)
        if problem:
            parsed.problems[index] = problem
    return parsed


def _parse_one(raw: bytes) -> tuple[Event, dict[str, msgspec.Raw], str | None]:
    try:
        event = _strict.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_odd(raw)
    return (event, {}, None) if _in_calendar(event.occurred_at) else _parse_odd(raw)


def _parse_odd(raw: bytes) -> tuple[Event, dict[str, msgspec.Raw], str | None]:
    try:
        fields = _fields.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Event(), {}, str(error)
    unknown = {key: value for key, value in fields.items() if key not in _KNOWN}
    try:
        event = _tolerant.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return msgspec.convert(dict(_readable(fields)), Event), unknown, str(error)
    if _in_calendar(event.occurred_at):
        return event, unknown, None
    event.occurred_at = None
    return event, unknown, "occurred_at: a year that no database holds"


def _readable(fields: dict[str, msgspec.Raw]) -> Iterator[tuple[str, str]]:
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
    return moment if _in_calendar(moment) else None


def _in_calendar(moment: datetime | None) -> bool:
    """Tell whether a time can be held in UTC; in the first and the last year that depends on its zone."""
    return moment is None or MINYEAR < moment.year < MAXYEAR


def _free_key(taken: dict[str, msgspec.Raw]) -> str:
    """Return REQUEST_KEY, made longer where the client uses that name itself."""
    key = REQUEST_KEY
    while key in taken:
        key = f"${key}"
    return key


def _bounded(request_keys: bytes) -> msgspec.Raw:
    if len(request_keys) <= REQUEST_BYTES:
        return msgspec.Raw(request_keys)
    return msgspec.Raw(b'{"omitted_bytes":%d}' % len(request_keys))


def _join(fields: dict[str, msgspec.Raw]) -> bytes:
    parts = (msgspec.json.encode(key) + b":" + bytes(value) for key, value in fields.items())
    return b"{" + b",".join(parts) + b"}"
