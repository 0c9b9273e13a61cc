"""Cutting a body into the client's own bytes per event, also when one of them cannot be decoded."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract import splitting
from include.contract.splitting import NotARequestError, split

GOOD = b'{"event_name":"a, b","x":["]}",{"events":[1]}]}'
UNDECODABLE = [
    rb'{"x":"\ud83d"}',
    rb'{"x":"\ude00 tail"}',
    b'{"x":"\xff\xfe"}',
    b'{"x":NaN, "y":[1,2]}',
    b'{"x":01}',
    b'{"x":"\x00"}',
    b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b"tru",
]

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(_json, max_size=5), st.dictionaries(st.text().filter(lambda key: key != "events"), _json, max_size=3))
def test_both_ways_of_cutting_agree(events: list[Any], around: dict[str, Any]) -> None:
    body = json.dumps({**around, "events": events, "z": 1}, ensure_ascii=False, indent=1).encode("utf-8", "ignore")
    expected = [json.loads(part) for part in split(body)]
    assert expected == events
    if events:
        scanned = splitting._Scanner(body, "events").events(ValueError("why"))
        assert scanned == split(body)


@pytest.mark.parametrize("bad", UNDECODABLE)
def test_an_undecodable_event_costs_only_itself(bad: bytes) -> None:
    body = b' { "sent_at" : "x", "events" : [ ' + GOOD + b" , " + bad + b"," + GOOD + b'] , "more":{"events":[]} }'
    assert split(body) == [GOOD, bad, GOOD]


def test_the_last_list_of_events_counts_as_in_any_json_decoder() -> None:
    assert split(b'{"events":[1],"events":[2,NaN]}') == [b"2", b"NaN"]
    assert split(b'{"events":[1],"events":[2]}') == [b"2"]
    assert split(rb'{"\u0065vents":[NaN]}') == [b"NaN"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b"{}",
        b'{"events":null}',
        b'{"events":{"a":1}}',
        b'{"events":[',
        b'{"events":[NaN]',
        b'{"events":[NaN,]}',
        b'{"events":[NaN]}}',
        b'{"events":[NaN}]',
        b'{"events":[NaN]} x',
        b'{"events":[NaN],"sent_at":NaN}',
        b'{"events":["\xff]}',
        b'{"events":"\xff"}',
        b'[{"events":[NaN]}]',
        b'{"a":{"events":[NaN]}}',
        b'\xef\xbb\xbf{"events":[]}',
        b'"\xff"',
    ],
)
def test_a_body_without_a_readable_list_is_refused(body: bytes) -> None:
    with pytest.raises(NotARequestError):
        split(body)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_list_or_a_refusal(noise: bytes) -> None:
    for body in (noise, b'{"events":[' + noise + b"]}", b'{"events":["\\ud800",' + noise + b"]}"):
        try:
            parts = split(body)
        except NotARequestError:
            continue
        assert all(part in body for part in parts)


@pytest.mark.parametrize("filling", [b"[],", b'{"a":1},', b"1,", b'"x",', b'"x":[{'])
def test_a_hostile_body_costs_a_bounded_time(filling: bytes) -> None:
    body = b'{"events":[NaN,' + filling * (20_000_000 // len(filling)) + b"1]}"
    began = time.monotonic()
    with pytest.raises(NotARequestError, match="too long to look for the reason"):
        split(body)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("around", [(b"", b""), (b'{"events":[NaN]}', b""), (b'{"events":[', b"NaN]}")])
def test_space_does_not_cost_the_square_of_its_length(around: tuple[bytes, bytes]) -> None:
    body, began = (b" " * 400_000).join(around), time.monotonic()
    with contextlib.suppress(NotARequestError):
        split(body)
    assert time.monotonic() - began < 3
