"""Dialect v1: nothing a client sent is lost, and a broken event costs itself and not its neighbours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract import edge
from include.contract.event import Event, derived_event_id, parse
from include.contract.extra import REQUEST_KEY
from include.contract.splitting import split

TEXT_FIELDS = sorted(set(Event.__struct_fields__) - {
    "schema_version", "occurred_at", "consent", "event_properties", "user_properties",
})  # fmt: skip
JSON_FIELDS = ("consent", "event_properties", "user_properties")
GOOD = b'{"event_id":"1","event_name":"tap","device_id":"d"}'

texts = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
unknown = st.dictionaries(
    texts.filter(lambda key: key not in Event.__struct_fields__ and key != REQUEST_KEY), values, max_size=3
)
times = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.isoformat() + "Z")  # noqa: DTZ001
known = st.fixed_dictionaries({}, optional={
    **dict.fromkeys(TEXT_FIELDS, st.none() | texts),
    "schema_version": st.none() | st.integers(0, 2**31 - 1),
    "occurred_at": st.none() | times,
    **dict.fromkeys(JSON_FIELDS, st.none() | st.dictionaries(texts, values, max_size=3)),
})  # fmt: skip
events = st.builds(lambda one, other: {**one, **other}, known, unknown)


def plain(event: Event) -> dict[str, Any]:
    """Return the columns of an event as JSON would have them, without the empty ones."""
    found = {name: getattr(event, name) for name in Event.__struct_fields__}
    for name in JSON_FIELDS:
        found[name] = json.loads(bytes(found[name]))
    if event.occurred_at is not None:
        found["occurred_at"] = event.occurred_at.astimezone(UTC)
    return {name: value for name, value in found.items() if value is not None}


def sent(event: dict[str, Any]) -> dict[str, Any]:
    """Return what the client sent, without its nulls in known fields, with its time read."""
    found = {name: value for name, value in event.items() if value is not None or name not in Event.__struct_fields__}
    if "occurred_at" in found:
        found["occurred_at"] = datetime.fromisoformat(found["occurred_at"])
    return found


@given(
    st.lists(events, max_size=4),
    unknown,
    st.sampled_from([json.dumps, lambda body: json.dumps(body, ensure_ascii=False)]),
)
def test_everything_sent_is_in_a_column_or_in_extra(
    batch: list[dict[str, Any]], around: dict[str, Any], dumps: Any
) -> None:
    around.pop("events", None)
    around.pop("sent_at", None)
    body = dumps({**around, "sent_at": "2026-11-23T10:00:00+01:00", "events": batch}).encode()
    parsed = parse(body)
    assert parsed.problems == {}
    assert parsed.sent_at == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert len(parsed.events) == len(batch)
    for index, (event, original) in enumerate(zip(parsed.events, batch, strict=True)):
        extra = json.loads(parsed.extra.get(index, b"{}"))
        assert extra.pop(REQUEST_KEY, {}) == around
        assert {**plain(event), **extra} == sent(original)


wrong = st.sampled_from([
    ("user_id", 4711), ("app_version", 4.12), ("event_id", ["x"]), ("schema_version", "1"), ("schema_version", -1),
    ("occurred_at", "yesterday"), ("occurred_at", "2026-01-01T00:00:00"), ("occurred_at", 5), ("locale", {}),
])  # fmt: skip


@given(st.lists(events, min_size=1, max_size=4), st.data(), wrong)
def test_a_wrong_type_names_its_event_only_and_keeps_what_can_be_read(
    batch: list[dict[str, Any]], data: st.DataObject, spoiled: tuple[str, Any]
) -> None:
    bad = data.draw(st.integers(0, len(batch) - 1))
    batch[bad] = {**batch[bad], "event_name": "found me", spoiled[0]: spoiled[1]}
    parsed = parse(json.dumps({"events": batch}).encode())
    assert set(parsed.problems) == {bad}
    assert f"$.{spoiled[0]}" in parsed.problems[bad]
    assert parsed.events[bad].event_name == "found me"
    for index in set(range(len(batch))) - {bad}:
        extra = json.loads(parsed.extra.get(index, b"{}"))
        assert {**plain(parsed.events[index]), **extra} == sent(batch[index])


UNREADABLE = {
    "nan": b'{"event_name":"a","event_properties":{"x":NaN}}',
    "half an emoji": b'{"event_name":"a","event_properties":{"x":"\\ud83d"}}',
    "control character": b'{"event_name":"a","event_properties":{"x":"\x01"}}',
    "unknown escape": b'{"event_name":"a\\q"}',
    "number with a leading zero": b'{"event_name":"a","x":01}',
    "too deep": b'{"event_name":"a","x":' + b"[" * 3_000 + b"]" * 3_000 + b"}",
    "not utf-8": b'{"event_name":"\xff"}',
    "not an object": b"5",
}


@pytest.mark.parametrize("bad", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_event_costs_itself_and_not_its_neighbours(bad: bytes) -> None:
    body = b'{"events":[' + GOOD + b"," + bad + b"," + GOOD + b"]}"
    assert set(edge.check(body).rejected) == {1}, "the edge accepts the request"
    parsed = parse(body)
    assert set(parsed.problems) == {1}
    assert [event.event_id for event in parsed.events] == ["1", None, "1"]
    assert split(body) == [GOOD, bad, GOOD]


@given(st.lists(events, max_size=4))
def test_split_returns_the_clients_own_bytes(batch: list[dict[str, Any]]) -> None:
    raws = [json.dumps(event).encode() for event in batch]
    body = b'{ "events" : [ ' + b" , ".join(raws) + b" ] }"
    assert split(body) == raws


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"events":5}', b'{"events":{}}', b"\x1f\x8bjunk", b'{"events":[}']
)
def test_what_is_no_request_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"malformed|Expected|missing"):
        parse(body)


@pytest.mark.parametrize("moment", ['"soon"', "5", '"2026-01-01T00:00:00"', "{}"])
def test_an_unreadable_sent_at_is_kept_in_extra(moment: str) -> None:
    parsed = parse(b'{"sent_at":' + moment.encode() + b',"events":[' + GOOD + b"]}")
    assert parsed.sent_at is None
    assert json.loads(parsed.extra[0]) == {REQUEST_KEY: {"sent_at": json.loads(moment)}}
    assert parsed.problems == {}


def test_a_clients_own_key_named_as_ours_is_kept() -> None:
    parsed = parse(b'{"batch":1,"events":[{"$request":{"mine":true}}]}')
    assert b'"mine":true' in parsed.extra[0]
    assert b'"batch":1' in parsed.extra[0]


def test_json_fields_keep_their_bytes() -> None:
    parsed = parse(b'{"events":[{"event_properties": {"n": 1.50, "big": 12345678901234567890123} }]}')
    assert bytes(parsed.events[0].event_properties) == b'{"n": 1.50, "big": 12345678901234567890123}'
    assert bytes(parsed.events[0].consent) == b"null"


def test_the_derived_id_depends_on_source_and_bytes_alone() -> None:
    assert derived_event_id("a", GOOD) == derived_event_id("a", bytes(msgspec.Raw(GOOD)))
    assert len({derived_event_id("a", GOOD), derived_event_id("b", GOOD), derived_event_id("a", GOOD + b" ")}) == 3
    assert len(derived_event_id("a", GOOD)) == 64
    assert derived_event_id("a", b"b") != derived_event_id("a\0b", b"")


def test_a_key_of_the_request_that_is_not_utf8_costs_no_event() -> None:
    parsed = parse(b'{"f\xff":1,"events":[{"event_name":"a"},{"event_name":"b"}]}')
    assert [event.event_name for event in parsed.events] == ["a", "b"]
    assert parsed.problems == {}
    assert json.loads(parsed.extra[1]) == {"$request": {"f\N{REPLACEMENT CHARACTER}": 1}}


def test_large_keys_of_the_request_are_counted_and_not_copied_to_each_event() -> None:
    body = json.dumps({"events": [{"event_name": "a"}] * 1_000, "log": "x" * 100_000}).encode()
    parsed = parse(body)
    assert sum(map(len, parsed.extra.values())) < 100_000
    assert json.loads(parsed.extra[999]) == {"$request": {"omitted_bytes": 100_000 + len('{"log":""}')}}
