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


def _validate(server: ApiServer, body: Any) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.request("POST", "/v1/events:validate", data, BEARER)


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
    assert (answer.json["dialect"], answer.json["valid"]) == (dialect, 1)
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
    taken = "this route takes the bodies of /v1/events, of Amplitude's /2/httpapi and of Segment's /v1/batch"
    assert answer.json["message"].endswith(f"; {taken}")


def test_limits_hold_for_every_dialect(server: ApiServer) -> None:
    bodies: list[dict[str, Any]] = [{"events": [AMPLITUDE] * 101}, {"batch": [TRACK] * 101}, {"events": [{}] * 101}]
    for body in bodies:
        answer = _validate(server, body)
        assert (answer.status, answer.json["error"]) == (413, "too_many_events")
        assert answer.json["message"] == "101 events in one request, the limit is 100; send fewer at a time"
    assert _validate(server, {"batch": []}).json["error"] == "no_events"
