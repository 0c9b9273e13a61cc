"""The edge's look at a foreign body: events, key, first device; and its division into parts."""

from __future__ import annotations

import json
import time
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.extra import request_fields
from include.contract.outline import Outline, outline, write_keys_of
from include.contract.parts import CUT_KEY, cut, divide
from include.contract.splitting import NotARequestError, has_more_than, split

UNDECODABLE = [rb'"\ud83d"', b"NaN", b'"\0"', b"[" * 5_000 + b"]" * 5_000, b"01", b'{"y":[nothing}}', b"tru"]


def _outline(body: bytes, events_key: str = "events") -> Outline:
    return outline(body, events_key, "api_key", ("device_id", "user_id"))


def test_what_the_edge_needs_to_know() -> None:
    seen = _outline(rb'{"api_key":"k\u0065y","events":[{"user_id":"u","device_id":null},{"device_id":"d"}],"x":1}')
    assert [bytes(raw) for raw in seen.events] == [b'{"user_id":"u","device_id":null}', b'{"device_id":"d"}']
    assert (seen.write_key, seen.key_literal, seen.device) == ("key", rb'"k\u0065y"', "u")


def test_the_key_is_found_without_a_look_at_the_events() -> None:
    assert write_keys_of(rb'{"events":[1,{}],"api_key":"k\u0065y"}', "api_key") == ["key"]
    assert write_keys_of(b'{"events":[1]}', "api_key") == []
    assert write_keys_of(b'{"api_key":7,"events":[1]}', "api_key") == []
    with pytest.raises(NotARequestError):
        write_keys_of(b"[]", "api_key")


def test_the_key_beside_a_broken_event() -> None:
    assert write_keys_of(rb'{"events":["\ud83d"],"api_key" : "k\u0065y"}', "api_key") == ["key"]
    assert write_keys_of(rb'{"events":[{"api_key":"other"},NaN],"api_key":"key"}', "api_key") == ["other", "key"]


@pytest.mark.parametrize("filling", [b"[[]],", b'"",', b'"api_key":', b'"api_key":"', b'"api_key" \\\\', b'{"a":'])
def test_whoever_has_no_key_costs_nothing(filling: bytes) -> None:
    body = b'{"api_key":"nope","x":NaN,"events":[' + filling * (2_000_000 // len(filling)) + b"]}"
    began = time.process_time()
    assert write_keys_of(body, "api_key")[0] == "nope"
    with pytest.raises(NotARequestError):
        write_keys_of(body.replace(b"api_key", b"api-key"), "api_key")
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize(
    ("count", "event", "more"), [(3, b"{}", False), (4, b"{}", True), (4, b"1", True), (7_000_000, b"1", True)]
)
def test_a_list_that_is_too_long_is_seen_early(count: int, event: bytes, more: bool) -> None:
    body = b'{"x":1,"events":[' + b",".join([event] * count) + b"]}"
    assert has_more_than(3, body) is more
    assert has_more_than(3, body[:-1]) is more


def test_one_broken_event_does_not_hide_the_key() -> None:
    seen = _outline(rb'{"events":[{"device_id":"\ud83d"},{"device_id":"d"}],"api_key":"key"}')
    assert (len(seen.events), seen.write_key, seen.device) == (2, "key", "d")


@pytest.mark.parametrize(
    ("events", "device"),
    [
        (b'[{"device_id":77}]', "77"),
        (b'[{"device_id":{},"user_id":"u"}]', "u"),
        (b'[5,{},{"device_id":""},{"user_id":null},{"user_id":-1.5}]', "-1.5"),
        (b"[5]", None),
        (b'[{"device_id":"%s"}]' % (b"d" * 300), "d" * 255),
    ],
)
def test_the_device_is_that_of_the_first_event_that_names_one(events: bytes, device: str | None) -> None:
    assert _outline(b'{"events":%s}' % events).device == device


def test_a_body_that_is_one_event() -> None:
    seen = _outline(b'{"device_id":"d","api_key":"key"}', "")
    assert (len(seen.events), seen.write_key, seen.device) == (1, "key", "d")


@pytest.mark.parametrize("bad", UNDECODABLE)
def test_a_call_that_cannot_be_decoded_is_one_event(bad: bytes) -> None:
    body = rb' {"api_key":"k\u0065y", "x":%s, "device_id":"d","":1}' % bad
    assert write_keys_of(body, "api_key") == ["key"]
    seen = _outline(body, "")
    assert (seen.events, seen.write_key, seen.device) == ([body], "key", "d")


def test_a_hostile_call_costs_nobody_much() -> None:
    body, began = b'{"api_key":"k","x":NaN' + b',"y":1' * 3_000_000 + b"}", time.monotonic()
    assert write_keys_of(body, "api_key") == ["k"]
    with pytest.raises(NotARequestError):
        _outline(body, "")
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("literal", ["7", "null", '""', "{}", "[1]"])
def test_a_key_that_is_no_text_is_none(literal: str) -> None:
    assert not _outline(b'{"events":[],"api_key":%s}' % literal.encode()).write_key


@pytest.mark.parametrize("events_key", ["events", ""])
@pytest.mark.parametrize("body", [b"", b"7", b"[]", b"{", b'"a"'])
def test_what_is_no_request(body: bytes, events_key: str) -> None:
    with pytest.raises(NotARequestError):
        _outline(body, events_key)


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=30), max_size=3), min_size=1, max_size=30),
    st.dictionaries(st.text(max_size=5).filter(lambda key: key != "batch"), st.integers(), max_size=3),
    st.integers(1, 400),
)
def test_parts_have_every_event_once_and_in_order(events: list[Any], about: dict[str, Any], limit: int) -> None:
    body = json.dumps({"batch": events, **about}, indent=1).encode()
    parts = list(divide(request_fields(body, "batch"), "batch", split(body, "batch"), limit))
    found = [json.loads(part.body) for part in parts]
    assert [event for part in found for event in part["batch"]] == events
    assert all({key: value for key, value in part.items() if key != "batch"} == about for part in found)
    assert [part.start for part in parts] == [sum(one.events for one in parts[:n]) for n in range(len(parts))]
    assert all(len(part.body) <= limit or part.events == 1 for part in parts)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 200))
def test_parts_leave_room_for_the_reasons_of_their_own_events(sizes: list[int], limit: int) -> None:
    events, reasons = [b"1"] * len(sizes), {index: size for index, size in enumerate(sizes) if size}
    for part in divide({}, "events", events, limit, reasons):
        own = sum(sizes[part.start : part.start + part.events])
        assert len(part.body) + own <= limit or part.events == 1


@pytest.mark.parametrize("event", [rb'{"x":"\ud83d","y":"%s"}', b"[%s]", b'"%s"', b"\xff%s"])
def test_what_is_cut_is_an_object_whatever_it_was(event: bytes) -> None:
    raw = event % (b"0123456789" * 10_000)
    about = json.loads(cut(raw, 70_000))[CUT_KEY]
    assert (about["bytes"], len(about["begins"])) == (len(raw), 65_536)


def test_what_is_short_stays_as_it_was() -> None:
    raw = b'{"a":"b","c":1.50,"d":{"e":1},"f":"%s","$cut":true,"g":null}' % (b"x" * 300)
    about = {"bytes": len(raw), "sha256": sha256(raw).hexdigest(), "begins": '{"a":'}
    assert cut(raw, 5) == b'{"a":"b","c":1.50,"$cut":%s,"g":null}' % json.dumps(about, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"garbage", "malformed JSON: invalid character (byte 0)"),
        (b"", "malformed JSON: Input data was truncated"),
        (b'{"api_key":"k","events":[{]}', "malformed JSON: expected '\"' (byte 26)"),
        (b"[]", "Expected object, got array"),
    ],
)
@pytest.mark.parametrize("events_key", ["events", ""])
def test_a_body_that_cannot_be_read_is_told_where(body: bytes, said: str, events_key: str) -> None:
    with pytest.raises(NotARequestError) as caught:
        _outline(body, events_key)
    assert str(caught.value) == said
