"""The edge's check of an own-dialect body: which events are bad and why, without rebuilding any of them.

A good request is decoded once into small typed structs; only when that fails is it looked at event by event. What the
fields mean is decided later, when draining (`event.py`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from include.contract.splitting import NotARequestError, split

__all__ = ["Checked", "NotARequestError", "check"]

Identifier = Annotated[str, Meta(max_length=255)]
Required = Annotated[str, Meta(min_length=1, max_length=255)]
Moment = Annotated[datetime, Meta(tz=True)]
NO_DEVICE_OR_USER = "device_id or user_id is needed"
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
_NESTED = "nested too deep"
_MISSING = "Object missing required field "


class _AnyObject(msgspec.Struct, gc=False):
    """A JSON object whose content is skipped."""


class _Event(msgspec.Struct, gc=False):
    event_name: Required
    event_id: Required | None = None
    schema_version: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    user_id: Identifier | None = None
    device_id: Identifier | None = None
    session_id: str | None = None
    occurred_at: Moment | None = None
    platform: str | None = None
    app_version: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    device_model: str | None = None
    locale: str | None = None
    country: str | None = None
    library_name: str | None = None
    library_version: str | None = None
    consent: _AnyObject | None = None
    event_properties: _AnyObject | None = None
    user_properties: _AnyObject | None = None


class _Request(msgspec.Struct, gc=False):
    events: list[_Event]


class _Id(msgspec.Struct, gc=False):
    event_id: str | None = None


_request = msgspec.json.Decoder(_Request)
_event = msgspec.json.Decoder(_Event)
_id = msgspec.json.Decoder(_Id)
MOST_ID_CHARACTERS = 255
"""An id may be as long as the whole body, and the answer must not."""
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Checked(msgspec.Struct, frozen=True, gc=False):
    """The verdict: number of events, partition key (first good event's device, else user), reason per bad index."""

    event_count: int
    key: str | None
    rejected: Mapping[int, str] = {}
    event_ids: Mapping[int, str | None] = {}


def check(body: bytes, max_events: int = sys.maxsize) -> Checked:
    """Check an inflated body; raises NotARequestError when it is not an object with a list of events.

    Where there are more than `max_events`, they are counted and not looked at.
    """
    if not body.isascii():
        return _check_text(body, max_events)
    try:
        events = _request.decode(body).events
    except _BROKEN:
        return _check_each(body, max_events)
    return _verdict(body, max_events, events)


def _check_text(body: bytes, max_events: int) -> Checked:
    # msgspec does not look at the encoding of strings that it skips.
    try:
        body.decode()
        events = _request.decode(body).events
    except _BROKEN:
        return _check_each(body, max_events)
    return _verdict(body, max_events, events)


def _verdict(body: bytes, max_events: int, events: Sequence[_Event]) -> Checked:
    for event in events:
        if not event.device_id and not event.user_id:
            return _check_each(body, max_events)
    first = events[0] if events else None
    return Checked(len(events), (first.device_id or first.user_id) if first else None)


def _check_each(body: bytes, max_events: int) -> Checked:
    key: str | None = None
    rejected: dict[int, str] = {}
    event_ids: dict[int, str | None] = {}
    events = split(body)
    for index, raw in enumerate(events if len(events) <= max_events else ()):
        event, reason = _check_one(raw)
        if reason:
            rejected[index] = reason
            event_ids[index] = readable_id(raw)
        elif key is None and event:
            key = event.device_id or event.user_id
    return Checked(len(events), key, rejected, event_ids)


def _check_one(raw: bytes) -> tuple[_Event | None, str | None]:
    try:
        if not raw.isascii():
            raw.decode()
        event = _event.decode(raw)
    except msgspec.ValidationError as error:
        return None, _reason(error)
    except msgspec.DecodeError as error:
        half = " (half of a surrogate pair, such as an emoji cut in two?)" if _HALF_PAIR.search(raw) else ""
        return None, f"not valid JSON: {_reason(error).removeprefix('JSON is malformed: ')}{half}"
    except UnicodeDecodeError:
        return None, "not valid UTF-8"
    except RecursionError:
        return None, _NESTED
    return event, None if event.device_id or event.user_id else NO_DEVICE_OR_USER


def _reason(error: Exception) -> str:
    """Turn 'Expected `str`, got `int` - at `$.user_id`' into 'user_id: expected str, got int'."""
    text, _, place = str(error).replace("`", "").partition(" - at $.")
    if text.startswith(_MISSING):
        return f"{text.removeprefix(_MISSING)} is needed"
    return f"{place}: {text[:1].lower()}{text[1:]}" if place else text


def readable_id(raw: bytes) -> str | None:
    """Return the id of an event that is not taken, as far as it is shown to the client; None where there is none."""
    try:
        event_id = _id.decode(raw).event_id
    except _BROKEN:
        return None
    return None if event_id is None else event_id[:MOST_ID_CHARACTERS]
