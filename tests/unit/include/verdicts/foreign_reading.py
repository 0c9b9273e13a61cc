"""The tables of docs/dialects.md in plain Python: what an event of Amplitude or Segment has in our columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.include.verdicts.reading import DEVICE, Event, UnreadableError, load, moment

_NAMES = {
    "ios": "ios iphone ipados",
    "android": "android",
    "web": "web browser",
    "server": "server node.js",
    "car": "car",
}
_PLATFORMS = {"iphone os": "ios", "android automotive": "car"} | {
    word: name for name, words in _NAMES.items() for word in words.split()
}
_AMPLITUDE = dict(
    zip(
        DEVICE, ("app_version", "os_name", "os_version", "device_model", "language", "country", "library"), strict=False
    )
)
_KEPT = ("event_properties", "user_properties")
_CALL_IDS = {"event_id": "messageId", "user_id": "userId", "device_id": "anonymousId"}
_SEGMENT = {
    "app_version": "app.version", "os_name": "os.name", "os_version": "os.version", "device_model": "device.model",
    "locale": "locale", "country": "location.country", "library_name": "library.name",
    "library_version": "library.version",
}  # fmt: skip


def identifier(value: Any) -> str | None:
    """Read text, or a number as its digits."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise UnreadableError
    return None if value is None or value == "" else str(value)


def text(value: Any) -> str | None:
    """Read text, or a number as its digits; nothing else is text."""
    return str(value) if value != "" and isinstance(value, str | int | float) and not isinstance(value, bool) else None


def name(value: Any) -> str | None:
    """Read a name."""
    if not isinstance(value, str | None):
        raise UnreadableError
    return value


def platform(values: Iterable[Any], otherwise: str | None) -> str | None:
    """Return the first platform that we know."""
    known = [_PLATFORMS.get(value.lower()) for value in values if isinstance(value, str)]
    return next(filter(None, known), otherwise)


def amplitude(raw: bytes, around: Mapping[str, Any]) -> Event:
    """Read an event of Amplitude's HTTP API."""
    event = load(raw)
    keys = _AMPLITUDE | {"event_id": "insert_id", "event_name": "event_type"}
    keys |= {one: one for one in ("user_id", "device_id", "session_id", "platform", *_KEPT)} | {"occurred_at": "time"}
    columns: Event = {column: text(event.get(key)) for column, key in _AMPLITUDE.items()}
    columns["event_name"] = name(event.get("event_type"))
    for column in ("event_id", "user_id", "device_id", "session_id"):
        columns[column] = identifier(event.get(keys[column]))
    columns["session_id"] = None if columns["session_id"] == "-1" else columns["session_id"]
    columns["occurred_at"] = _of_milliseconds(event.get("time"))
    columns["platform"] = platform([event.get("platform")], None)
    columns |= {column: event.get(column) for column in _KEPT}
    consent = _at(event, "event_properties.consent")
    columns["consent"] = consent if isinstance(consent, dict) else None
    columns["extra"] = _rest(event, columns, keys)
    return columns | {"platform": columns["platform"] or around.get("platform")}


def segment(raw: bytes, around: Mapping[str, Any]) -> Event:
    """Read a call of Segment's HTTP API in a batch."""
    call = load(raw)
    context, kind = call.get("context"), call.get("type")
    inside = context if isinstance(context, dict) else {}
    columns: Event = {column: text(_at(inside, path)) for column, path in _SEGMENT.items()}
    columns["event_name"] = name(call.get("event")) if kind == "track" else None
    named = columns["event_name"] is not None
    keys = {"event_name": "event" if named else "type", "event_properties": "properties"} | _CALL_IDS
    columns["event_name"] = columns["event_name"] if named else name(kind)
    columns |= {column: identifier(call.get(key)) for column, key in _CALL_IDS.items()}
    consent, traits = _at(inside, "consent.categoryPreferences"), inside.get("traits")
    columns["event_properties"] = call.get("properties")
    columns["consent"] = consent if isinstance(consent, dict) else None
    columns["user_properties"] = call.get("traits") if kind == "identify" else None
    if columns["user_properties"] is not None:
        keys["user_properties"] = "traits"
    elif isinstance(traits, dict):
        columns["user_properties"] = traits
    first, second = call.get("timestamp"), call.get("originalTimestamp")
    columns["session_id"] = identifier(inside.get("sessionId"))
    columns["occurred_at"] = moment(first, zone=False) or moment(second, zone=False)
    keys["occurred_at"] = "timestamp" if first else "originalTimestamp"
    seen = [_at(inside, "device.type"), _at(inside, "os.name"), call.get("channel")]
    columns["extra"] = _rest(call, columns, keys)
    return columns | {"platform": platform(seen, around.get("platform"))}


def _rest(event: Event, columns: Event, keys: Mapping[str, str]) -> Event:
    """Return what gave no column its value."""
    used = {key for column, key in keys.items() if columns[column] is not None}
    return {key: value for key, value in event.items() if key not in used and value not in (None, "", {})}


def _at(within: Any, path: str) -> Any:
    for key in path.split("."):
        within = within.get(key) if isinstance(within, dict) else None
    return within


def _of_milliseconds(value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError
    try:
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    except OverflowError as error:
        raise UnreadableError from error
    if not 1 < found.year < 9999:
        raise UnreadableError
    return found
