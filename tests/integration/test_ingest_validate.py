"""`POST /v1/events:validate` of a running API: what it says of bodies of every dialect, and that none is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.ingest_fixtures import Stored
from tests.integration.ingest_server import KEY, Answer, ApiServer

BEARER = {"Authorization": f"Bearer {KEY}"}
AMPLITUDE = {"event_type": "opened", "device_id": "d-1", "insert_id": "i-1", "time": 1795393297820}
TRACK = {"type": "track", "event": "opened", "anonymousId": "d-1", "messageId": "m-1"}


def _validate(server: ApiServer, body: Any, query: str = "", **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.request("POST", f"/v1/events:validate{query}", data, {**BEARER, **headers})


def test_it_says_what_would_happen_and_stores_nothing(server: ApiServer, stored: Stored) -> None:
    events = [
        {"event_name": "a", "user_id": "u", "platform": "ios"},
        {"event_id": "e-1", "event_name": "a", "platform": "ios"},
        {"event_name": "<b>", "user_id": "u"},
    ]
    answer = _validate(server, {"sent_at": "yesterday", "events": events})
    assert answer.status == 200
    assert (answer.json["dialect"], answer.json["valid"]) == ("v1", 1)
    first, second = answer.json["failed"]
    assert (first["index"], first["event_id"]) == (1, "e-1")
    assert "edge: device_id or user_id is needed" in first["reasons"]
    assert [reason.partition(":")[0] for reason in second["reasons"]] == ["event_name", "platform"]
    assert [warning.partition(":")[0] for warning in answer.json["warnings"]] == ["sent_at", "occurred_at", "consent"]
    assert stored(answer) == []


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("amplitude", {"api_key": "any", "events": [{**AMPLITUDE, "platform": "iOS"}, AMPLITUDE]}),
        ("amplitude", {"events": [{**AMPLITUDE, "platform": "iOS"}, AMPLITUDE]}),
        ("segment", {"batch": [{**TRACK, "context": {"device": {"type": "ios"}}}, TRACK]}),
    ],
)
def test_it_reads_what_the_vendors_sdks_send(server: ApiServer, dialect: str, body: Any) -> None:
    """The test's source has no platform, so an event that names none fails."""
    answer = _validate(server, body)
    assert answer.status == 200, answer.body
    assert (answer.json["dialect"], answer.json["assumed"], answer.json["valid"]) == (dialect, True, 1)
    (failed,) = answer.json["failed"]
    assert failed["index"] == 1
    (reason,) = failed["reasons"]
    assert reason.startswith("platform: is not set; ")
    assert reason.endswith("or give the source a platform")


def test_one_event_that_cannot_be_decoded_does_not_hide_the_dialect(server: ApiServer) -> None:
    text = json.dumps({"batch": [TRACK, TRACK]}).replace('"m-1"', "NaN", 1).encode()
    answer = _validate(server, text)
    assert answer.json["dialect"] == "segment"
    assert answer.json["failed"][0]["reasons"][0].startswith("decode: ")


@pytest.mark.parametrize("body", [TRACK, {"identification": []}, [], b"garbage"])
def test_what_is_no_batch_is_told_what_this_route_takes(server: ApiServer, body: Any) -> None:
    answer = _validate(server, body)
    assert (answer.status, answer.json["error"]) == (400, "invalid_body")
    taken = "this route takes the bodies of /v1/events, of Amplitude's /2/httpapi and of Segment's /v1/batch, and those"
    assert f"; {taken} of other routes" in answer.json["message"]


def test_limits_hold_for_every_dialect(server: ApiServer) -> None:
    bodies: list[dict[str, Any]] = [{"events": [AMPLITUDE] * 101}, {"batch": [TRACK] * 101}, {"events": [{}] * 101}]
    for body in bodies:
        answer = _validate(server, body)
        assert (answer.status, answer.json["error"]) == (413, "too_many_events")
        assert answer.json["message"] == "101 events in one request, the limit is 100; send fewer at a time"
    assert _validate(server, {"batch": []}).json["error"] == "no_events"


# What the caller says, and what is guessed


IOS = {"platform": "ios"}
WEB = {"channel": "web"}
GOOD: list[tuple[str, str, Any]] = [
    ("v1", "", {"events": [{"event_name": "a", "device_id": "d", **IOS}], "api_key": "x"}),
    ("amplitude", "httpapi", {"events": [{**AMPLITUDE, **IOS, "event_name": "a"}]}),
    ("amplitude", "batch", {"events": [{**AMPLITUDE, **IOS}]}),
    ("amplitude", "identify", {"identification": [{"user_id": "u", **IOS}]}),
    ("amplitude", "identify", b"identification=%7B%22user_id%22%3A%22u%22%2C%22platform%22%3A%22ios%22%7D"),
    ("amplitude", "groupidentify", {"identification": {"group_type": "g", **IOS}}),
    ("segment", "batch", {"batch": [{**TRACK, **WEB}], "events": []}),
    ("segment", "track", {"event": "a", "userId": "u", **WEB}),
    ("rudderstack", "identify", {"userId": "u", **WEB}),
]


@pytest.mark.parametrize(("dialect", "call", "body"), GOOD)
def test_the_caller_says_what_a_body_is(server: ApiServer, dialect: str, call: str, body: Any) -> None:
    answer = _validate(server, body, f"?dialect={dialect}" + (f"&call={call}" if call else ""))
    assert answer.status == 200, answer.body
    told = {"dialect": dialect, "call": call, "assumed": False, "valid": 1, "failed": []}
    assert told.items() <= answer.json.items()


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("v1", {"events": [5, {"event_name": "a", "device_id": "d", **IOS}], "api_key": "x"}),
        ("amplitude", {"events": [5, {**AMPLITUDE, **IOS}]}),
        ("amplitude", {"events": [5], "api_key": "x"}),
        ("v1", {"events": [5]}),
        ("rudderstack", {"batch": [{**TRACK, **WEB}]}),
    ],
)
def test_what_nobody_says_is_guessed_and_the_answer_says_so(server: ApiServer, dialect: str, body: Any) -> None:
    answer = _validate(server, body)
    assert (answer.status, answer.json["dialect"], answer.json["assumed"]) == (200, dialect, True)


def test_an_event_of_the_wrong_dialect_is_judged_as_its_route_would(server: ApiServer) -> None:
    body = {"events": [{"event_type": "a", "device_id": "d", **IOS}]}
    assert _validate(server, body).json["dialect"] == "amplitude"
    (failed,) = _validate(server, body, "?dialect=v1").json["failed"]
    assert "edge: event_name is needed" in failed["reasons"]


def test_rudderstacks_headers_count(server: ApiServer) -> None:
    body = {"batch": [{"type": "track", "event": "a", "timestamp": "2036-11-22T10:00:00Z", **WEB}]}
    headers = {"AnonymousId": "ZC05", "SentAt": "2036-11-22T10:00:01Z"}
    (without,) = _validate(server, body).json["failed"]
    assert {reason.partition(":")[0] for reason in without["reasons"]} == {"identity", "occurred_ahead_minutes"}
    (late,) = _validate(server, body, **headers).json["failed"]
    assert [reason.partition(":")[0] for reason in late["reasons"]] == ["occurred_ahead_minutes"]
    headers["SentAt"] = "2026-11-22T10:00:01Z"
    body["batch"][0]["timestamp"] = headers["SentAt"]
    assert _validate(server, body, "?dialect=rudderstack", **headers).json["valid"] == 1


@pytest.mark.parametrize(
    "query", ["?dialect=mixpanel", "?call=batch", "?dialect=v1&call=batch", "?dialect=segment&call=x"]
)
def test_what_the_url_says_must_be_known(server: ApiServer, query: str) -> None:
    answer = _validate(server, {"events": [{}]}, query)
    assert (answer.status, answer.json["error"]) == (400, "invalid_parameter")


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("?dialect=amplitude", b'{"events":[{}],"events":[{}]}'),
        ("?dialect=amplitude&call=identify", b"identification={}&identification={}"),
        ("?dialect=segment", {"events": [{}]}),
        ("?dialect=segment&call=track", b"[]"),
        ("?dialect=v1", {"batch": [{}]}),
    ],
)
def test_what_the_route_would_refuse_is_refused(server: ApiServer, query: str, body: Any) -> None:
    answer = _validate(server, body, query)
    assert (answer.status, answer.json["error"]) == (400, "invalid_body")
