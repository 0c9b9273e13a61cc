"""Cuts a request body into the client's own bytes per event, for the edge (to name bad events) and the drain.

The usual body is cut by msgspec. One event with an emoji cut in half, bytes that are not UTF-8, `NaN` or thousands of
nested brackets would make the whole body undecodable, so a second, slower walk looks only at strings, brackets and
commas: such an event then costs itself and not its neighbours.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import msgspec

from include.contract.walking import BrokenError, TooLongError, Walk

_TOO_LONG = "Expected `array` of at most length"
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class NotARequestError(ValueError):
    """The body as a whole is not a JSON object with a list of events."""


class Pieces(NamedTuple):
    """A body that no decoder takes: its events, and what is beside them by name, each as the client wrote it."""

    events: list[bytes]
    around: list[tuple[str, bytes]]


def split(body: bytes, key: str = "events") -> list[bytes]:
    """Return each event's bytes, in order, of an inflated body; an event itself may still be anything.

    `key` names the list of events. Raises NotARequestError when the body has no readable list of events.
    """
    try:
        return [bytes(raw) for raw in _request(key).decode(body).events]
    except _BROKEN as error:
        return pieces(body, key, error).events


def has_more_than(most: int, body: bytes, key: str = "events") -> bool:
    """Tell whether a list of events is longer than `most`; it stops looking there, and holds no more of them.

    A body of 20 MB may list seven million events, whose mere bytes objects would take a gigabyte.
    """
    try:
        _at_most(most, key).decode(body)
    except msgspec.ValidationError as error:
        return str(error).startswith(_TOO_LONG)
    except _BROKEN:
        return False
    return False


def pieces(body: bytes, key: str, cause: Exception) -> Pieces:
    """Cut a body that cannot be decoded, because of `cause`; raises NotARequestError like `split`."""
    if isinstance(cause, msgspec.ValidationError):
        raise NotARequestError(_plain(cause)) from cause
    walk = _walk(body, key, cause)
    if walk.elements is None or walk.others:
        raise _malformed(cause) from cause
    return Pieces(walk.elements, [(one.name, walk.value(one)) for one in walk.members if one.name != key])


def members(body: bytes) -> list[tuple[str, bytes]]:
    """Return each name and value of an object that no decoder takes; what is no member is left out.

    Raises NotARequestError where brackets and strings do not fit together to one object.
    """
    walk = _walk(body, None, ValueError("an object is needed"))
    return [(one.name, walk.value(one)) for one in walk.members]


def times_listed(body: bytes, key: str) -> int:
    """Return how often an object that no decoder takes has a member; raises NotARequestError like `members`."""
    return sum(one.name == key for one in _walk(body, key, ValueError("an object is needed")).members)


def _walk(body: bytes, key: str | None, cause: Exception) -> Walk:
    try:
        return Walk(body, key)
    except BrokenError:
        raise _malformed(cause) from cause
    except TooLongError:
        raise NotARequestError("the body cannot be decoded and is too long to look for the reason") from cause


@cache
def _request(key: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(
        msgspec.defstruct("Request", [("events", list[msgspec.Raw])], rename={"events": key}, gc=False)
    )


@cache
def _at_most(most: int, key: str) -> msgspec.json.Decoder[Any]:
    # Of all that msgspec can decode, only an array of named places ends at the first element that is too much.
    places = [(f"_{number}", msgspec.Raw, msgspec.Raw(b"")) for number in range(most)]
    events = msgspec.defstruct("Events", places, array_like=True, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(msgspec.defstruct("Request", [("events", events)], rename={"events": key}, gc=False))


def _malformed(cause: Exception) -> NotARequestError:
    return NotARequestError(f"malformed JSON: {_plain(cause)}")


def _plain(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ").replace("`", "").replace(" - at $", " at $")
