"""Cuts a request body into the client's own bytes per event, for the edge (to name bad events) and the drain.

The usual body is cut by msgspec. One event with an emoji cut in half, bytes that are not UTF-8, `NaN` or thousands of
nested brackets would make the whole body undecodable, so a second, slower scanner looks only at strings, brackets and
commas: such an event then costs itself and not its neighbours.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

MAX_STEPS = 100_000
"""Where the slow scanner gives up (brackets, commas between events), so that a hostile body costs about 0.1 s."""

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
# Everything up to the next bracket outside a string; a quotation mark there is a string that never ends.
_STEP = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb')*+(["\[\]{}])', re.DOTALL)
_COMMA = re.compile(_STRING + rb"|(,)", re.DOTALL)
_MEMBER = re.compile(rb"(" + _STRING + rb")\s*+:\s*+(.+)", re.DOTALL)
_LISTED_AS, _LISTED = "m", b'{"m":[%s]}'
"""An object's members looked at as if they were events."""
_LAST_STRING = re.compile(rb'(?:[^"]*+(' + _STRING + rb"))*+", re.DOTALL)
_TOO_LONG = "Expected `array` of at most length"
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class NotARequestError(ValueError):
    """The body as a whole is not a JSON object with a list of events."""


def split(body: bytes, key: str = "events") -> list[bytes]:
    """Return each event's bytes, in order, of an inflated body; an event itself may still be anything.

    `key` names the list of events. Raises NotARequestError when the body has no readable list of events.
    """
    try:
        return [bytes(raw) for raw in _request(key).decode(body).events]
    except msgspec.ValidationError as error:
        raise NotARequestError(_plain(error)) from error
    except _BROKEN as error:
        return _Scanner(body, key).events(error)


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


def around(body: bytes, key: str = "events") -> bytes:
    """Return the request with an empty list of events, for a body of which `split` named the events one by one.

    Raises NotARequestError like `split`.
    """
    scanner = _Scanner(body, key)
    scanner.events(ValueError("an event cannot be decoded"))
    return scanner.around


def members(body: bytes) -> list[tuple[str, bytes]]:
    """Return each name and value of an object that no decoder takes; what is no member is left out.

    Raises NotARequestError where brackets and strings do not fit together to one object.
    """
    text, cause = body.strip(), ValueError("an object is needed")
    scanner = _Scanner(_LISTED % text[1:-1], _LISTED_AS)
    scanner.walk(cause)
    if (text[:1], text[-1:]) != (b"{", b"}") or scanner.around != _LISTED % b"":
        raise _malformed(cause)
    return [(_name(found[1]), found[2]) for piece in scanner.pieces() if (found := _MEMBER.fullmatch(piece))]


def _name(literal: bytes) -> str:
    try:
        return str(msgspec.json.decode(literal))
    except _BROKEN:
        return literal[1:-1].decode(errors="replace")


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


class _Scanner:
    """Finds the elements of the top-level list of events by brackets, strings and commas alone."""

    def __init__(self, body: bytes, key: str) -> None:
        self._body = body
        self._key = key
        self._depth = 0
        self._inside = False
        self._start, self._end = -1, -1
        self._commas: list[int] = []

    def events(self, cause: Exception) -> list[bytes]:
        self.walk(cause)
        self._check_around(cause)
        found = self.pieces()
        if b"" in found:
            raise _malformed(cause) from cause
        return found

    def walk(self, cause: Exception) -> None:
        for steps, step in enumerate(self._steps()):
            if steps + len(self._commas) > MAX_STEPS:
                raise NotARequestError("the body cannot be decoded and is too long to look for the reason") from cause
            self._take(step.start(), step.start(1), cause)
        if self._depth != 0 or self._end < 0:
            raise _malformed(cause) from cause

    def _steps(self) -> Iterator[re.Match[bytes]]:
        """Yield every step from where the last one ended; finditer would search on from each byte that has none."""
        step = _STEP.match(self._body)
        while step:
            yield step
            step = _STEP.match(self._body, step.end())

    @property
    def around(self) -> bytes:
        return self._body[: self._start] + b"[]" + self._body[self._end + 1 :]

    def _take(self, begin: int, at: int, cause: Exception) -> None:
        bracket = self._body[at]
        if self._inside and self._depth == 2:
            found = _COMMA.finditer(self._body, begin, at)
            self._commas += itertools.islice((comma.start() for comma in found if comma[1]), MAX_STEPS)
        if bracket in b"[{":
            self._open(begin, at)
        elif bracket in b"]}":
            self._close(at, cause)
        else:
            raise _malformed(cause) from cause

    def _open(self, begin: int, at: int) -> None:
        if self._depth == 1 and self._body[at] == ord("[") and self._is_events_key(begin, at):
            self._inside, self._start, self._commas = True, at, []
        self._depth += 1

    def _is_events_key(self, begin: int, at: int) -> bool:
        last = _LAST_STRING.match(self._body, begin, at)
        if last is None or last[1] is None or self._body[last.end(1) : at].strip() != b":":
            return False
        try:
            return bool(msgspec.json.decode(last[1]) == self._key)
        except _BROKEN:
            return False

    def _close(self, at: int, cause: Exception) -> None:
        self._depth -= 1
        if self._depth < 0 or (self._depth == 1 and self._inside and self._body[at] != ord("]")):
            raise _malformed(cause) from cause
        if self._depth == 1 and self._inside:
            self._inside, self._end = False, at

    def _check_around(self, cause: Exception) -> None:
        """Everything but the events must be JSON without mercy: only an event can be bad on its own."""
        try:
            _request(self._key).decode(self.around)
        except _BROKEN as error:
            raise _malformed(cause) from error

    def pieces(self) -> list[bytes]:
        edges = [self._start, *self._commas, self._end]
        return [self._body[a + 1 : b].strip() for a, b in itertools.pairwise(edges)]


def _malformed(cause: Exception) -> NotARequestError:
    return NotARequestError(f"malformed JSON: {_plain(cause)}")


def _plain(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ").replace("`", "").replace(" - at $", " at $")
