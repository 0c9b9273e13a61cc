"""Cutting a body into the client's own bytes per event, also when one of them cannot be decoded."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.splitting import NotARequestError, members, pieces, split, times_listed

GOOD = b'{"event_name":"a, b","x":["]}",{"events":[1]}]}'
UNDECODABLE = [
    rb'{"x":"\ud83d"}',
    rb'{"x":"\ude00 tail"}',
    b'{"x":"\xff\xfe"}',
    b'{"x":NaN, "y":[1,2]}',
    b'{"x":01}',
    b'{"x":"\x00"}',
    b'{"x":' + b'{"y":[1,' * 3_000 + b"1" + b"]}" * 3_000 + b"}",
    b'{"large":"' + b'a,\\"]' * 1_000_000 + b'","x":NaN}',
    b'{"large":[' + b"1," * 1_000_000 + b"NaN]}",
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
        found = pieces(body, "events", ValueError("why"))
        assert found.events == split(body)
        assert {name: json.loads(value) for name, value in found.around} == {**around, "z": 1}


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
        b'{"events":[NaN],"sent_at":}',
        b'{"events":[NaN],}',
        b'{,"events":[NaN]}',
        b'{"events":[NaN],7}',
        b'{"events":[NaN]"x":1}',
        b'{"events":[NaN],"events":NaN}',
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


@pytest.mark.parametrize(
    "bad", [rb'{"x":"\ud83d"}', b'{"x":01}', b'{"x":"\xff"}', b'{"x":' + b"[" * 2_000 + b"]" * 2_000 + b"}"]
)
def test_a_bad_event_costs_no_neighbour_however_large_the_others_are(bad: bytes) -> None:
    items = b",".join([b'{"sku":"a","p":{"v":1}}'] * 12)
    good = b'{"event_name":"a","event_properties":{"items":[' + items + b"]}}"
    body, began = b'{"events":[' + b",".join([good] * 1_999 + [bad]) + b"]}", time.process_time()
    assert split(body) == [good] * 1_999 + [bad]
    assert time.process_time() - began < 1


def test_what_is_bad_beside_the_events_costs_none_of_them() -> None:
    found = pieces(rb'{"sent_at":NaN,"x":tru e,"events":[1,{}],"":"\ud83d","x":2}', "events", ValueError("why"))
    assert found.events == [b"1", b"{}"]
    assert found.around == [("sent_at", b"NaN"), ("x", b"tru e"), ("", rb'"\ud83d"'), ("x", b"2")]


def test_the_members_of_an_object_that_no_decoder_takes() -> None:
    assert members(rb' {"a":NaN, nothing , "\u0062":[1,{"c":2}] ,"d": } ') == [("a", b"NaN"), ("b", b'[1,{"c":2}]')]
    assert members(b"{ }") == []
    assert times_listed(rb'{"a":[NaN,{"a":1}],"\u0061":[],"b":"a"}', "a") == 2


def test_brackets_that_are_dense_cost_in_proportion_to_their_bytes() -> None:
    body, began = b'{"events":[NaN,' + b",".join([b"[" * 20 + b"]" * 20] * 2_300) + b"]}", time.process_time()
    assert len(split(body)) == 2_301
    assert time.process_time() - began < 0.05
