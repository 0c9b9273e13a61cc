"""How a value on the wire becomes a column's: each takes the client's JSON and returns it, or None for "not here".

ValueError and msgspec's errors mean that the event cannot be read; None that the next row of the table has its turn.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Raw

from include.contract.event import in_calendar

_json = msgspec.json.Decoder()
_text = msgspec.json.Decoder(str)
_time = msgspec.json.Decoder(datetime)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = frozenset(b"-0123456789")
_PLATFORMS = {
    "ios": "ios", "iphone": "ios", "iphone os": "ios", "ipados": "ios", "android": "android", "web": "web",
    "browser": "web", "server": "server", "node.js": "server", "car": "car", "android automotive": "car",
}  # fmt: skip


def identifier(raw: Raw) -> str | None:
    """Read text, or a number as its digits; empty means none. Anything else makes the event unreadable."""
    data = bytes(raw)
    if data[:1] == b'"':
        return _text.decode(data) or None
    if data == b"null":
        return None
    if data[0] in _DIGITS:
        return data.decode()
    raise ValueError("expected text or a number")


def name(raw: Raw) -> str | None:
    """Read text; empty is kept, so that the suite names it."""
    return None if bytes(raw) == b"null" else _text.decode(raw)


def text(raw: Raw) -> str | None:
    """Read text, or a number as written; what is neither stays in extra."""
    data = bytes(raw)
    if data[:1] == b'"':
        return _text.decode(data) or None
    return data.decode() if data[0] in _DIGITS else None


def session(raw: Raw) -> str | None:
    """Read a number or text; -1 means none (Amplitude HTTP V2: `session_id`)."""
    found = identifier(raw)
    return None if found == "-1" else found


def obj(raw: Raw) -> Raw | None:
    """Keep JSON as written; whether it is an object is the suite's question."""
    return None if bytes(raw) == b"null" else raw


def only_object(raw: Raw) -> Raw | None:
    """Keep an object as written; anything else is not here."""
    return raw if bytes(raw)[:1] == b"{" else None


def epoch_ms(raw: Raw) -> datetime | None:
    """Read milliseconds since 1970 as a number; text is invalid (Amplitude HTTP V2: `time`)."""
    value = _json.decode(raw)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected milliseconds since 1970 as a number")  # noqa: TRY004 - bad data, not a bug
    try:
        found = _EPOCH + timedelta(milliseconds=value)
    except OverflowError as error:
        raise ValueError("a year that no database holds") from error
    return _held(found)


def moment(raw: Raw) -> datetime | None:
    """Read RFC 3339; without an offset it is UTC."""
    if bytes(raw) == b"null":
        return None
    found: datetime = _time.decode(raw)
    return _held(found if found.tzinfo else found.replace(tzinfo=UTC))


def platform(raw: Raw) -> str | None:
    """Read one of our platforms by the names that SDKs use; an unknown one stays in extra."""
    data = bytes(raw)
    return _PLATFORMS.get(_text.decode(data).lower()) if data[:1] == b'"' else None


def before_slash(raw: Raw) -> str | None:
    """Take the name out of `amplitude-python/1.3.0`."""
    found = text(raw)
    return found.rpartition("/")[0] or found if found else None


def after_slash(raw: Raw) -> str | None:
    """Take the version out of `amplitude-python/1.3.0`."""
    found = text(raw)
    return found.rpartition("/")[2] if found and "/" in found else None


def _held(found: datetime) -> datetime:
    if not in_calendar(found):
        raise ValueError("a year that no database holds")
    return found
