"""The edge's check: good requests pass whole, bad events are named with index, id and reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract import edge

GOOD = {"event_name": "a", "device_id": "d", "event_id": "e"}
MINIMAL = {"event_name": "a", "user_id": "u"}


def _body(*events: object, **around: object) -> bytes:
    return json.dumps({"events": events, **around}).encode()


def _reason(event: object) -> str | None:
    checked = edge.check(_body(GOOD, event, GOOD))
    assert checked.event_count == 3
    assert set(checked.rejected) <= {1}
    return checked.rejected.get(1)


def test_a_good_request_has_count_and_key() -> None:
    assert edge.check(_body(GOOD, MINIMAL, sent_at="whenever")) == edge.Checked(2, "d")
    assert edge.check(_body(MINIMAL)) == edge.Checked(1, "u")
    assert edge.check(_body()) == edge.Checked(0, None)


@pytest.mark.parametrize(
    "more",
    [
        {"event_id": None},
        {"event_id": "x" * 255},
        {"event_id": "\u0000"},
        {"event_name": "😀" * 255},
        {"device_id": "d", "user_id": None},
        {"schema_version": 0},
        {"schema_version": 2**31 - 1},
        {"occurred_at": None},
        {"occurred_at": "2026-11-22T10:00:00Z"},
        {"occurred_at": "2026-11-22T10:00:00.123456789+05:30"},
        {"occurred_at": "0001-01-01T00:00:00+14:00"},
        {"consent": {"analytics": True, "deep": {"er": [1]}}},
        {"event_properties": {}},
        {"user_properties": None},
        {"unknown": [1, {"a": 10**400}], "x": -0.0},
        {"event_properties": {"n": 1e308, "u": "\u0000\u2028"}},
    ],
)
def test_accepted(more: dict[str, object]) -> None:
    assert _reason({**MINIMAL, **more}) is None


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"user_id": "u"}, "event_name is needed"),
        ({**MINIMAL, "event_name": ""}, "event_name: expected str of length >= 1"),
        ({**MINIMAL, "event_name": "x" * 256}, "event_name: expected str of length <= 255"),
        ({**MINIMAL, "event_name": None}, "event_name: expected str, got null"),
        ({**MINIMAL, "event_id": ""}, "event_id: expected str of length >= 1"),
        ({**MINIMAL, "event_id": "x" * 256}, "event_id: expected str of length <= 255"),
        ({**MINIMAL, "event_id": 5}, "event_id: expected str | null, got int"),
        ({"event_name": "a"}, edge.NO_DEVICE_OR_USER),
        ({"event_name": "a", "user_id": "", "device_id": None}, edge.NO_DEVICE_OR_USER),
        ({**MINIMAL, "user_id": "x" * 256}, "user_id: expected str of length <= 255"),
        ({**MINIMAL, "schema_version": -1}, "schema_version: expected int >= 0"),
        ({**MINIMAL, "schema_version": "1"}, "schema_version: expected int | null, got str"),
        ({**MINIMAL, "schema_version": 10**400}, "schema_version: "),
        ({**MINIMAL, "occurred_at": "yesterday"}, "occurred_at: invalid RFC3339 encoded datetime"),
        ({**MINIMAL, "occurred_at": "2026-11-22T10:00:00"}, "occurred_at: expected datetime with a timezone component"),
        ({**MINIMAL, "occurred_at": 1795393297820}, "occurred_at: expected datetime | null, got int"),
        ({**MINIMAL, "consent": True}, "consent: expected object | null, got bool"),
        ({**MINIMAL, "event_properties": []}, "event_properties: expected object | null, got array"),
        ({**MINIMAL, "platform": 7}, "platform: expected str | null, got int"),
        (None, "Expected object, got null"),
        ([GOOD], "Expected object, got array"),
    ],
)
def test_rejected(event: object, reason: str) -> None:
    found = _reason(event)
    assert found is not None
    assert found.startswith(reason)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (rb'{"event_name":"a","user_id":"u","p":"cut \ud83d"}', "half of a surrogate pair"),
        (rb'{"event_name":"\ude00","user_id":"u"}', "half of a surrogate pair"),
        (b'{"event_name":"a","user_id":"u","p":"\xff"}', "not valid UTF-8"),
        (b'{"event_name":"\xc3","user_id":"u"}', "not valid UTF-8"),
        (b'{"event_name":"a","user_id":"u","p":NaN}', "not valid JSON: invalid character"),
        (b'{"event_name":"a","user_id":"u","p":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "nested too deep"),
    ],
)
def test_bytes_that_json_does_not_allow_cost_one_event(raw: bytes, reason: str) -> None:
    good = json.dumps(GOOD).encode()
    checked = edge.check(b'{"events":[' + good + b"," + raw + b"," + good + b"]}")
    assert checked.event_count == 3
    assert list(checked.rejected) == [1]
    assert reason in checked.rejected[1]


def test_bad_events_are_named_by_their_id_where_it_can_be_read() -> None:
    checked = edge.check(_body({"event_id": "e1"}, {"event_id": 5}, [], GOOD))
    assert checked.event_ids == {0: "e1", 1: None, 2: None}
    assert checked.key == "d", "the first good event gives the key"


def test_a_request_of_bad_events_only_is_still_a_request() -> None:
    checked = edge.check(_body({}, 5))
    assert checked.event_count == 2
    assert set(checked.rejected) == {0, 1}
    assert checked.key is None


def test_duplicate_keys_count_once_and_the_last_wins() -> None:
    assert edge.check(b'{"events":[{"event_name":"b","event_name":"a","user_id":"u"}]}').rejected == {}
    assert list(edge.check(b'{"events":[{"event_name":"a","user_id":"u","user_id":5}]}').rejected) == [0]


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b'{"events":5}', b'{"events":[{}', b'{"events":[{}]}x'])
def test_what_is_not_a_request_is_refused(body: bytes) -> None:
    with pytest.raises(edge.NotARequestError):
        edge.check(body)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(noise: bytes) -> None:
    for body in (noise, b'{"events":[' + noise + b"]}", b'{"events":[{"event_name":"' + noise + b'","user_id":"u"}]}'):
        try:
            checked = edge.check(body)
        except edge.NotARequestError:
            continue
        assert set(checked.rejected) == set(checked.event_ids)
        assert all(0 <= index < checked.event_count for index in checked.rejected)


def test_more_events_than_a_request_may_have_are_counted_and_not_looked_at() -> None:
    bad = edge.check(_body({}, {}, {}), max_events=2)
    assert (bad.event_count, bad.rejected, bad.event_ids) == (3, {}, {})
    assert len(edge.check(_body({}, {}), max_events=2).rejected) == 2


def test_an_id_as_long_as_the_body_is_not_sent_back_whole() -> None:
    checked = edge.check(b'{"events":[{"event_name":"a","device_id":"d","event_id":"%s"}]}' % (b"i" * 1_000_000))
    assert list(checked.rejected) == [0]
    assert checked.event_ids == {0: "i" * 255}
