"""What a request of a mapped dialect says beside its events, and the calls that are events of their own kind."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from include.contract.dialects import reader
from include.contract.splitting import NotARequestError
from tests.unit.include.contract.dialects.test_dialect_tables import parse, value

SENT = datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)
SENT_TEXT = "2026-11-22T10:00:01.000Z"
TRACK = {"type": "track", "event": "opened", "anonymousId": "d-1", "messageId": "m-1"}


def test_the_time_of_sending_is_the_requests() -> None:
    events = [{"event_type": "a", "device_id": "d"}]
    assert parse("amplitude", {"events": events, "client_upload_time": SENT_TEXT}).sent_at == SENT
    assert parse("segment", {"batch": [TRACK], "sentAt": SENT_TEXT}).sent_at == SENT
    assert parse("segment", {**TRACK, "sentAt": SENT_TEXT}, "track").sent_at == SENT
    assert parse("rudder", {"batch": [TRACK]}, client_sent_at=SENT_TEXT).sent_at == SENT
    assert parse("rudder", {"batch": [TRACK]}, client_sent_at='x"').sent_at is None


def test_an_unreadable_time_of_sending_is_kept() -> None:
    parsed = parse("segment", {"batch": [TRACK], "sentAt": "yesterday"})
    assert parsed.sent_at is None
    assert json.loads(parsed.extra[0])["$request"] == {"sentAt": "yesterday"}


@pytest.mark.parametrize(("dialect", "call", "body"), [
    ("v1", "", b'{"sent_at":"x", "events" : [ {"a":1} , {"b":NaN} ],"lot":7}'),
    ("amplitude", "batch", b'{"api_key":"***","events":[{"a":1},{"b":2}],"options":{}}'),
    ("amplitude", "identify", b'{"identification":[{"a":1},{"b":2}],"api_key":"***"}'),
    ("segment", "batch", b'{"batch":[{"a":1},{"b":2}],"writeKey":"***","context":{"x":[1]}}'),
    ("rudder", "track", b'{"a":1,"writeKey":"***"}'),
])  # fmt: skip
def test_a_request_is_taken_apart_and_put_together_with_one_event(dialect: str, call: str, body: bytes) -> None:
    own = reader(dialect, call)
    around = own.around(body)
    assert not {"api_key", "writeKey"} & around.keys()
    for event in own.split(body):
        again = own.request(around, event)
        assert own.split(again) == [event]
        assert own.around(again) == around


@pytest.mark.parametrize("bad", [rb'"\ud83d"', b"NaN", b'"\0"', b"[" * 5_000 + b"]" * 5_000])
@pytest.mark.parametrize("dialect", ["segment", "rudder"])
def test_a_call_that_cannot_be_decoded_is_one_event_with_a_problem(dialect: str, bad: bytes) -> None:
    body = b'{"event":"a","sentAt":"%s","properties":{"a":%s}}' % (SENT_TEXT.encode(), bad)
    parsed = parse(dialect, body, "track")
    assert (len(parsed.events), list(parsed.problems)) == (1, [0])
    assert parsed.sent_at == SENT
    assert reader(dialect, "track").split(body) == [body]


def test_the_write_key_is_nowhere() -> None:
    for parsed in (
        parse("amplitude", {"api_key": "***", "events": [{"event_type": "a"}]}),
        parse("segment", {"writeKey": "***", "batch": [TRACK]}),
        parse("segment", {"writeKey": "***", **TRACK}, "track"),
    ):
        assert "***" not in json.dumps({index: text.decode() for index, text in parsed.extra.items()})


def test_other_keys_of_the_request_are_kept() -> None:
    parsed = parse("amplitude", {"events": [{"event_type": "a"}], "options": {"min_id_length": 1}, "n": None})
    assert json.loads(parsed.extra[0]) == {"$request": {"options": {"min_id_length": 1}}}
    assert parse("amplitude", {"events": [{"event_type": "a"}], "options": {}}).extra == {}


def test_what_a_batch_says_of_its_events_is_merged_into_them() -> None:
    event = {**TRACK, "context": {"app": {"version": "2"}}, "integrations": {"B": True}}
    batch = {"context": {"app": {"version": "1"}, "locale": "de-DE"}, "integrations": {"A": False}}
    parsed = parse("segment", {"batch": [event], **batch})
    assert (parsed.events[0].app_version, parsed.events[0].locale) == ("2", "de-DE")
    extra = json.loads(parsed.extra[0])
    assert extra["integrations"] == {"A": False, "B": True}
    assert "$request" not in extra


@pytest.mark.parametrize("call", ["identify", "page", "screen", "group", "alias"])
@pytest.mark.parametrize("alone", [True, False])
def test_every_kind_of_call_is_an_event(call: str, alone: bool) -> None:
    event = {"userId": "u-1", "messageId": "m", "previousId": "d-1", "groupId": "g", "name": "Home", "event": "x"}
    event |= {"traits": {"plan": "gold"}, "type": call}  # type: ignore[dict-item]
    parsed = parse("segment", event if alone else {"batch": [event]}, call if alone else "batch")
    (found,) = parsed.events
    assert (found.event_name, found.user_id, found.event_id) == (call, "u-1", "m")
    extra = json.loads(parsed.extra[0])
    assert (extra["previousId"], extra["groupId"], extra["name"], extra["event"]) == ("d-1", "g", "Home", "x")
    if call == "identify":
        assert value(found, "user_properties") == {"plan": "gold"}
    else:
        assert value(found, "user_properties") is None
        assert extra["traits"] == {"plan": "gold"}


def test_the_route_says_which_call_it_is() -> None:
    parsed = parse("segment", {"event": "opened", "userId": "u", "type": "page"}, "track")
    assert parsed.events[0].event_name == "opened"


def test_identify_requests_are_events() -> None:
    operations = {"$set": {"plan": "gold"}, "$add": {"visits": 2}}
    body = {"identification": [{"user_id": "u", "user_properties": operations}]}
    (event,) = parse("amplitude", body, "identify").events
    assert (event.event_name, event.user_id, value(event, "user_properties")) == ("$identify", "u", operations)
    (group,) = parse("amplitude", {"identification": [{"group_type": "org"}]}, "groupidentify").events
    assert group.event_name == "$groupidentify"


def test_what_the_edge_knows_fills_in() -> None:
    parsed = parse("segment", {"batch": [{**TRACK, "anonymousId": None}]}, platform="web", client_device_id="d-9")
    assert (parsed.events[0].platform, parsed.events[0].device_id) == ("web", "d-9")
    known = parse("segment", {"batch": [{**TRACK, "channel": "server"}]}, platform="web", client_device_id="d-9")
    assert (known.events[0].platform, known.events[0].device_id) == ("server", "d-1")


def test_the_remote_address_is_what_the_edge_says() -> None:
    body: Any = {"events": [{"event_type": "a", "ip": "$remote"}, {"event_type": "b", "ip": "192.0.2.7"}]}
    without = parse("amplitude", body)
    assert {i: json.loads(text) for i, text in without.extra.items()} == {1: {"ip": "192.0.2.7"}}
    known = parse("amplitude", body, client_ip="198.51.100.0")
    assert json.loads(known.extra[0]) == {"ip": "198.51.100.0"}


@pytest.mark.parametrize(("dialect", "call"), [("amplitude", ""), ("segment", "batch"), ("segment", "track")])
@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'{"events":{},"batch":{}', b"\xff"])
def test_what_is_no_request_is_refused(dialect: str, call: str, body: bytes) -> None:
    with pytest.raises(NotARequestError):
        parse(dialect, body, call)


def test_the_clients_own_bytes_of_each_event() -> None:
    assert reader("amplitude").split(b'{"events":[ {"a":1.0} ,7]}') == [b'{"a":1.0}', b"7"]
    assert reader("segment", "batch").split(b'{"batch":[{}]}') == [b"{}"]
    assert reader("segment", "track").split(b'{"event": "x"}') == [b'{"event": "x"}']


def test_what_is_bad_beside_the_events_is_kept_and_costs_no_event() -> None:
    body = (
        b'{"batch":[%s],"context":{"os":{"name":"iOS \\ud83d"},"x":"\\ud83d\\ude00"},"integrations":{"a":NaN},"lot":01}'
    )
    parsed = parse("segment", body % json.dumps(TRACK).encode(), "batch")
    assert (parsed.problems, parsed.events[0].event_name) == ({}, "opened")
    assert parsed.events[0].os_name == "iOS \ufffd"
    kept = json.loads(parsed.extra[0])
    assert kept["context"]["x"] == "\U0001f600"
    assert kept["$request"] == {"integrations": '{"a":NaN}', "lot": "01"}


@pytest.mark.parametrize("bad", [b"NaN", rb'"\\\ud83d\ud83d\ude00"', b"[" * 5_000 + b"]" * 5_000, b'"\0"'])
def test_a_bad_time_of_sending_is_kept_in_every_dialect(bad: bytes) -> None:
    for dialect, listed, name in (("v1", "events", "sent_at"), ("amplitude", "events", "client_upload_time")):
        parsed = parse(dialect, b'{"%s":%s,"%s":[{"user_id":"u"}]}' % (name.encode(), bad, listed.encode()))
        assert (parsed.problems, parsed.sent_at, parsed.events[0].user_id) == ({}, None, "u")
        kept = json.loads(parsed.extra[0])["$request"]
        assert name in kept or "omitted_bytes" in kept
