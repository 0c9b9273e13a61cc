"""Names and write keys are found however they are spelled."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.contract.spelling import listed_twice, masked, texts_named


@pytest.mark.parametrize(
    ("body", "twice"),
    [
        (b'{"events":[1],"events":[2]}', True),
        (b'{"events":[1],"x":{"events":[2]}}', False),
        (b'{"events":[{"events":"events"}],"x":"events"}', False),
        (b'{"events":[{"events":1,"events":2}]}', False),
        (b'{"events":1,"x":{"events":[{}]},"events":[2]}', True),
        (rb'{"events":["\"events\":"]}', False),
        (b'{"events":[1]}', False),
        (rb'{"events":[1],"\u0065vents":[2]}', True),
        (rb'{"\u0065vents":[1],"event\u0073":[2]}', True),
        (rb'{"\u0065vents":[1],"x":"\u0065vents","y":{"events":1}}', False),
        (b'{"events":[NaN],"events":[2]}', True),
        (rb'{"events":[{"events":"\ud83d"}],"\u0065vents":[2]}', True),
        (rb'{"events":[{"events":"\ud83d"}]}', False),
        (b'{"events":[1],"events"', False),
    ],
)
def test_a_list_that_is_there_twice_is_seen(body: bytes, twice: bool) -> None:
    assert listed_twice(body) is twice


def test_every_text_of_a_name_is_found_however_it_is_spelled() -> None:
    body = rb'{"k\u0065y" : "\u0061","x":{"key":"in"},"key":7,"key":"\ud83d","key":"b","y":["key","c"],"n":NaN}'
    assert texts_named(body, "key") == {"a", "in", "b"}
    assert texts_named(b'{"key":"a","x":"\\/"}', "key") == set()
    assert len(texts_named(b"{" + b",".join(b'"key":"%d"' % n for n in range(100_000)) + b"}", "key")) == 1_000


def test_a_list_that_is_there_very_often_does_not_cost_the_square_of_their_number() -> None:
    began = time.monotonic()
    assert listed_twice(b"{" + b'"events":[],' * 100_000 + b'"events":[{}]}')
    assert listed_twice(b"{" + rb'"\u0065vents":[],' * 100_000 + b'"events":[{}]}')
    assert time.monotonic() - began < 3


def test_a_masked_body_has_no_key_and_is_otherwise_the_same() -> None:
    body = rb'{"api_key":"k\u0065y", "events":[{"a":1.50,"b":"keys","c":["key"]}]}'
    text = masked(body, "key")
    assert text == rb'{"api_key":"***", "events":[{"a":1.50,"b":"keys","c":["***"]}]}'
    assert masked(text, "key") == text


def _spell(key: str, choices: list[int]) -> str:
    """Spell a text as JSON, each character plain or escaped."""
    ways = [
        lambda one: json.dumps(one, ensure_ascii=False)[1:-1],
        lambda one: "".join(f"\\u{unit}" for unit in _units(one)),
        lambda one: "".join(f"\\u{unit.upper()}" for unit in _units(one)),
        lambda one: r"\/" if one == "/" else json.dumps(one)[1:-1],
    ]
    return "".join(ways[choices[at % len(choices)]](one) for at, one in enumerate(key))


def _units(one: str) -> list[str]:
    digits = one.encode("utf-16-be").hex()
    return [digits[at : at + 4] for at in range(0, len(digits), 4)]


@example("\r", [1])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.lists(st.integers(0, 3), min_size=1))
def test_no_spelling_of_a_key_stays(key: str, choices: list[int]) -> None:
    body = f'["{_spell(key, choices)}",1]'
    assert json.loads(body) == [key, 1]
    assert masked(body.encode(), key) == b'["***",1]'
