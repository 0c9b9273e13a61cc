"""Finds a name or a write key in a JSON text however it is spelled, for the edge, which must not be misled by it."""

from __future__ import annotations

import itertools
import re
from functools import lru_cache

import msgspec

from include.contract.extra import UNREADABLE
from include.contract.splitting import NotARequestError, times_listed
from include.contract.walking import STRING

_MASK = b'"***"'
_ESCAPE = re.compile(rb"\\(?:u00[2-7]|/)")
"""How an ASCII character begins that is spelled by an escape; a text with umlauts has none of these."""
_RENAMED = 10_000
_MOST_TEXTS = 1_000


def masked(body: bytes, key: str) -> bytes:
    """Return a body without a write key, which must not be stored, wherever it is a string of its own."""
    if key.isascii() and key.isprintable() and not _has_escapes(body):
        literal = msgspec.json.encode(key)
        # To search from the end costs Python a third of what `in` does.
        return body.replace(literal, _MASK) if body.rfind(literal) >= 0 else body
    return spelled(key).sub(_MASK, body)


def listed_twice(body: bytes, key: str = "events") -> bool:
    """Tell whether a request has its list of events twice; a decoder would silently take the last one."""
    quoted = b'"' + key.encode() + b'"'
    # From both ends, as the key mostly comes early: half of what counting costs.
    if body.find(quoted) == body.rfind(quoted) and not _has_escapes(body):
        return False
    spellings = spelled(key)
    if len(list(itertools.islice(spellings.finditer(body), 2))) < 2:
        return False
    # Each occurrence gets a name of its own, which only those at the top level then have as a key. Of a body that is
    # made to cost time by millions of them, all behind the first thousands share the name that they have.
    names: list[str] = []

    def renamed(_: re.Match[bytes]) -> bytes:
        names.append(f"{key} {len(names)}")
        return b'"' + names[-1].encode() + b'"'

    text = spellings.sub(renamed, body, _RENAMED)
    try:
        found: list[str] = list(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
    except UNREADABLE:
        return _is_listed_twice(body, key)
    known = {*names, key}
    return sum(name in known for name in found) > 1


def texts_named(body: bytes, name: str) -> set[str]:
    """Return the texts that a body has under a name, wherever; none where the name is there no more than once.

    Of very many it is the first ones.
    """
    quoted = b'"' + name.encode() + b'"'
    if body.find(quoted) == body.rfind(quoted) and (b"\\" not in body or b"\\u00" not in body):
        return set()
    found = itertools.islice(_named(name).finditer(body), _MOST_TEXTS)
    return {text for one in found if (text := _text(one[1]))}


def _text(literal: bytes) -> str:
    try:
        return msgspec.json.decode(literal, type=str)
    except UNREADABLE:
        return ""


@lru_cache(1024)
def _named(name: str) -> re.Pattern[bytes]:
    return re.compile(spelled(name).pattern + rb"\s*+:\s*+(" + STRING + rb")", re.DOTALL)


@lru_cache(1024)
def spelled(text: str) -> re.Pattern[bytes]:
    """Return what finds a text as a whole JSON string, each of its characters as itself or as an escape."""
    return re.compile(b'"' + b"".join(map(_character, text)) + b'"')


def _character(one: str) -> bytes:
    units = re.findall("....", one.encode("utf-16-be", "replace").hex())
    escaped = "".join(rf"\\u(?i:{unit})" for unit in units).encode()
    usual = re.escape(msgspec.json.encode(one.encode(errors="replace").decode())[1:-1])
    return b"(?:" + b"|".join([usual, escaped, *([rb"\\/"] if one == "/" else [])]) + b")"


def _has_escapes(body: bytes) -> bool:
    # Most bodies have no backslash, and to know that takes a tenth of a microsecond.
    return b"\\" in body and _ESCAPE.search(body) is not None


def _is_listed_twice(body: bytes, key: str) -> bool:
    try:
        return times_listed(body, key) > 1
    except NotARequestError:
        return False
