"""What no column takes, kept as JSON in `extra`: keys of an event, and under `$request` those of the request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from include.contract.splitting import members, pieces

REQUEST_KEY = "$request"
"""Key in `extra` under which unknown keys of the request itself are kept."""

REQUEST_BYTES = 4_096
"""Unknown keys of a request that take more than this are counted in `extra`, not copied to each event."""

_FIRST_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
_SECOND_HALF = re.compile(r"(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}")

Fields = dict[str, msgspec.Raw]

_fields = msgspec.json.Decoder(Fields)
_raw = msgspec.json.Decoder(msgspec.Raw)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def fields_of(raw: bytes | msgspec.Raw) -> Fields:
    """Return an object's values by key, undecoded; raises one of UNREADABLE where it is none."""
    return _fields.decode(raw)


def readable_fields(raw: bytes | msgspec.Raw) -> Fields:
    """Return an object's values by key, undecoded; empty where it is none."""
    try:
        return _fields.decode(raw)
    except UNREADABLE:
        return {}


def loose_fields(body: bytes) -> Fields:
    """Return the values by key of an object that need not be decodable; one value may then be anything.

    Raises NotARequestError where not even the brackets fit together to one object, or to find out would take too long.
    """
    try:
        return fields_of(body)
    except UNREADABLE:
        return {name: msgspec.Raw(value) for name, value in members(body)}


def request_fields(body: bytes, events_key: str) -> Fields:
    """Return what a request has beside its events, also where an event cannot be decoded.

    Where that is bad itself, half a surrogate pair and bytes that are not UTF-8 become U+FFFD; what then is still no
    JSON is kept as a string. So whoever reads it can.
    """
    try:
        fields = _fields.decode(body)
    except UNREADABLE as error:
        return {name: _mended(value) for name, value in pieces(body, events_key, error).around}
    fields.pop(events_key, None)
    return fields


def _mended(value: bytes) -> msgspec.Raw:
    # A backslash spelled as \\u005c leaves no other way to read what looks like half of a pair.
    text = value.decode(errors="replace").replace(r"\\", r"\u005c")
    text = _SECOND_HALF.sub(r"\\ufffd", _FIRST_HALF.sub(r"\\ufffd", text))
    try:
        return _raw.decode(text.encode())
    except UNREADABLE:
        return msgspec.Raw(msgspec.json.encode(value.decode(errors="replace")))


def about_request(fields: Mapping[str, msgspec.Raw]) -> msgspec.Raw | None:
    """Return what every event keeps of its request under REQUEST_KEY; None where there is nothing."""
    if not fields:
        return None
    joined = join(fields)
    return msgspec.Raw(joined if len(joined) <= REQUEST_BYTES else b'{"omitted_bytes":%d}' % len(joined))


def free_key(taken: Iterable[str]) -> str:
    """Return REQUEST_KEY, made longer where the client uses that name itself."""
    key = REQUEST_KEY
    while key in taken:
        key = f"${key}"
    return key


def join(fields: Mapping[str, msgspec.Raw]) -> bytes:
    """Return fields as one JSON object, each value as the client wrote it."""
    return msgspec.json.encode(fields)
