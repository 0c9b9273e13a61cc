"""Finds where the members of an object and the elements of a list begin and end, in JSON that no decoder takes.

It looks at strings, brackets and commas alone. What is nested no deeper than any usual event is skipped by one regular
expression; a loop over brackets is left for what is deeper or huge, and that loop gives up early.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import msgspec

MAX_STEPS = 50_000
"""Where it gives up (pieces, and brackets of what is too deep or too large), so that a hostile body costs 0.03 s."""
_QUICK_DEPTH = 64
_QUICK_BYTES = 1024 * 1024
"""A regular expression holds up all other threads: about 30 ms for so much."""

STRING = rb'"(?:[^"\\]++|\\.)*+"'
_FLAT = rb'[^"\[\]{}]++|' + STRING
_string = re.compile(STRING, re.DOTALL)
_before_comma = re.compile(rb'(?:[^"\[\]{},]++|' + STRING + rb")*+", re.DOTALL)
_before_bracket = re.compile(rb"(?:" + _FLAT + rb")*+", re.DOTALL)
_brackets = re.compile(rb"[\[{]++|[\]}]++")
_name = re.compile(rb"\s*+(" + STRING + rb")\s*+:\s*+", re.DOTALL)
_space = re.compile(rb"\s*+")


class BrokenError(ValueError):
    """Brackets, strings and commas do not fit together to one object."""


class TooLongError(ValueError):
    """It would take too long to find out."""


class Member(NamedTuple):
    """A member of an object: its name, and where its value begins and ends."""

    name: str
    start: int
    end: int


class Walk:
    """One walk over a text that is an object; raises BrokenError or TooLongError.

    `members` are those that have a name; `others` counts what stands between commas and has none. `elements` are those
    of the last list that the member `key` is, None where it is none.
    """

    def __init__(self, text: bytes, key: str | None = None) -> None:
        self._text, self._key = text, key
        self._steps = 0
        self.members: list[Member] = []
        self.others = 0
        self.elements: list[bytes] | None = None
        self._object(_after_space(text, 0))

    def value(self, member: Member) -> bytes:
        """Return a member's value as the client wrote it."""
        return self._text[member.start : member.end].strip()

    def _object(self, at: int) -> None:
        if self._text[at : at + 1] != b"{":
            raise BrokenError
        end = at
        while self._text[end : end + 1] != b"}":
            end = self._member(end + 1)
            if self._text[end : end + 1] not in {b",", b"}"}:
                raise BrokenError
        if _after_space(self._text, end + 1) != len(self._text):
            raise BrokenError

    def _member(self, at: int) -> int:
        """Take the member that begins at `at`; returns where it ends."""
        self._step()
        named = _name.match(self._text, at)
        start = named.end() if named else at
        name = _decoded(named[1]) if named else None
        is_key = name is not None and name == self._key
        if is_key:
            self.elements = None
        if is_key and self._text[start : start + 1] == b"[":
            end = _after_space(self._text, self._list(start))
        else:
            end = self._end(start)
        is_empty = _after_space(self._text, start) >= end
        if name is not None and not is_empty:
            self.members.append(Member(name, start, end))
        elif not is_empty or self.members or self.others or self._text[end : end + 1] == b",":
            self.others += 1
        return end

    def _list(self, at: int) -> int:
        """Take the elements of a list that begins at `at`; returns where it ends."""
        pieces: list[bytes] = []
        end = at
        while self._text[end : end + 1] != b"]":
            start = end + 1
            end = self._end(start)
            if self._text[end : end + 1] not in {b",", b"]"}:
                raise BrokenError
            pieces.append(self._text[start:end].strip())
            self._step()
        if b"" in pieces and len(pieces) > 1:
            raise BrokenError
        self.elements = [] if pieces == [b""] else pieces
        return end + 1

    def _end(self, at: int) -> int:
        """Return where the value from `at` on ends: at a comma or bracket that is not in it."""
        limit = min(len(self._text), at + _QUICK_BYTES)
        found = _quick().match(self._text, at, limit)
        end = found.end() if found else at
        return end if end < limit and self._text[end] in b",]}" else self._far_end(at)

    def _far_end(self, at: int) -> int:
        depth = 0
        while True:
            self._step()
            at = self._flat_end(at, depth)
            run = _brackets.match(self._text, at)
            if run is None:
                if depth == 0 and self._text[at : at + 1] == b",":
                    return at
                raise BrokenError
            length = run.end() - at
            if self._text[at] in b"[{":
                depth += length
            elif length > depth:
                return at + depth
            else:
                depth -= length
            at = run.end()

    def _flat_end(self, at: int, depth: int) -> int:
        """Return where the next bracket is, or the next comma outside of all brackets."""
        flat = _before_bracket if depth else _before_comma
        while True:
            self._step()
            found = flat.match(self._text, at, at + _QUICK_BYTES)
            end = found.end() if found else at
            if self._text[end : end + 1] == b'"' and (long := _string.match(self._text, end)):
                end = long.end()
            if end == at or (end < at + _QUICK_BYTES and self._text[end : end + 1] in b"[]{},"):
                return end
            at = end

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TooLongError


@cache
def _quick() -> re.Pattern[bytes]:
    """Return what matches a value up to a comma or bracket that is not in it, as deep as values usually are."""
    nested = rb"[\[{](?:" + _FLAT + rb")*+[\]}]"
    for _ in range(_QUICK_DEPTH - 1):
        nested = rb"[\[{](?:" + _FLAT + rb"|" + nested + rb")*+[\]}]"
    return re.compile(rb'(?:[^"\[\]{},]++|' + STRING + rb"|" + nested + rb")*+", re.DOTALL)


def _after_space(text: bytes, at: int) -> int:
    found = _space.match(text, at)
    return found.end() if found else at


def _decoded(literal: bytes) -> str:
    try:
        return str(msgspec.json.decode(literal))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return literal[1:-1].decode(errors="replace")
