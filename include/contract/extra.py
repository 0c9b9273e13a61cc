"""What no column takes, kept as JSON in `extra`: keys of an event, and under `$request` those of the request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from include.contract.splitting import NotARequestError, around, members

REQUEST_KEY = "$request"
"""Key in `extra` under which unknown keys of the request itself are kept."""

REQUEST_BYTES = 4_096
"""Unknown keys of a request that take more than this are counted in `extra`, not copied to each event."""

LOOSE_BYTES = 1024 * 1024
"""Most of an undecodable object that is looked at by its brackets: it is one event, and 20 MB would cost seconds."""

Fields = dict[str, msgspec.Raw]

_fields = msgspec.json.Decoder(Fields)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def fields_of(raw: bytes | msgspec.Raw) -> Fields:
    """Return an object's values by key, undecoded; raises one of UNREADABLE where it is none."""
    return _fields.decode(raw)


def loose_fields(body: bytes) -> Fields:
    """Return the values by key of an object that need not be decodable; one value may then be anything.

    Raises NotARequestError where not even the brackets fit together to one object.
    """
    try:
        return fields_of(body)
    except UNREADABLE as error:
        if len(body) > LOOSE_BYTES:
            raise NotARequestError("the body cannot be decoded and is too long to look for the reason") from error
        return {name: msgspec.Raw(value) for name, value in members(body)}


def request_fields(body: bytes, events_key: str) -> Fields:
    """Return what a request has beside its events, also where an event cannot be decoded."""
    try:
        fields = _fields.decode(body)
    except UNREADABLE:
        fields = _fields.decode(around(body, events_key).decode(errors="replace").encode())
    fields.pop(events_key, None)
    return fields


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
