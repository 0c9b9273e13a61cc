"""Pieces of JSON text, fine and odd, that generated bodies are put together from."""

from __future__ import annotations

import itertools
import json
import re

from hypothesis import strategies as st

_DEEPEST = 500
"""Nesting that everybody must take; where the API says no, is its own business."""

_BRACKETS = re.compile(rb"[\[\]{}]")

STRANGE = (
    b"1e999",
    b"-1e-999",
    b"9" * 400,
    b"-" + b"9" * 5000,
    b"0." + b"3" * 3000,
    b"-0",
    b"-0.0e-0",
    rb'"\u0000"',
    rb'"\ud83d\ude00"',
    rb'"\u2028\ufffe\uffff"',
    '"\ufeff😀\u2029\U0010ffff"'.encode(),
    b'""',
    b'{"":{"":[]}}',
    b'{"a":1,"a":2}',
    b'"' + b"x" * 20_000 + b'"',
    b"[" * 300 + b"]" * 300,
    b'{"k":' * 300 + b"0" + b"}" * 300,
    b"[" + b"0," * 3000 + b"0]",
    b'"]}],[{\\"events\\":["',
)
"""Values that nobody likes and that are JSON all the same."""

BROKEN = (
    rb'"\ud83d"',
    rb'"\ude00\ud83d"',
    rb'"\ud83d\u0041"',
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"nan",
    b'"\xff"',
    b'"\xc0\xaf"',
    b'"\xed\xa0\x80"',
    b'"\xf4\x90\x80\x80"',
    b'"\xe2\x82"',
    b'"a\xf0\x9f\x98"',
    rb'"\x41"',
    rb'"\u12g4"',
    b'"\x00"',
    b'"\x1f"',
    b'"\n"',
    b"01",
    b"+1",
    b".5",
    b"1.",
    b"0x10",
    b"1e",
    b"True",
    b"undefined",
    b"'x'",
    b"\xef\xbb\xbf1",
    b"\x001",
    b"[" * 3000 + b"]" * 3000,
    b'{"k":' * 20_000 + b"0" + b"}" * 20_000,
    b"[" * 40_000 + b"]" * 40_000,
)
"""Values that are no JSON, or too deep; brackets and quotation marks are whole, so that only their event is lost."""

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
space = st.sampled_from([b"", b"", b"", b" ", b"\n", b"\t\r\n ", b" " * 50])


def encoded(value: object, *, ascii_only: bool) -> bytes:
    """Return a value as JSON text; halves of surrogate pairs can only be written as escapes."""
    try:
        return json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


@st.composite
def objects(draw: st.DrawFn, fields: list[tuple[bytes, bytes]]) -> bytes:
    """Write an object of raw keys and values, in any order and with any space."""
    gap = draw(space)
    members = draw(st.permutations(fields))
    return b"{" + b",".join(gap + key + gap + b":" + gap + value + gap for key, value in members) + b"}"


def count_events(body: bytes, list_key: str) -> int | None:
    """Count the events of a body by the standard library alone; None where it is none, or a deep one."""
    if _depth(body) > _DEEPEST:
        return None
    try:
        # Repeated keys stay visible: a list of events that is there twice has no one meaning.
        document = json.loads(
            body.decode(), parse_constant=_refuse, parse_int=str, parse_float=str, object_pairs_hook=_Members
        )
    except (ValueError, RecursionError):
        return None
    lists = [value for key, value in document if key == list_key] if isinstance(document, _Members) else []
    return len(lists[0]) if len(lists) == 1 and type(lists[0]) is list else None


def _depth(body: bytes) -> int:
    """Return how deep brackets nest, those in strings among them."""
    steps = (1 if bracket in b"[{" else -1 for bracket in b"".join(_BRACKETS.findall(body)))
    return max(itertools.accumulate(steps), default=0)


class _Members(list[tuple[str, object]]):
    """The members of a JSON object."""


def _refuse(constant: str) -> None:
    raise ValueError(constant)
