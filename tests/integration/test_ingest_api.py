"""The ingest API as a client meets it: a real process in front of a real broker, read back by an independent reader."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
from datetime import UTC, datetime, timedelta

import pytest

from include.contract.envelope import Envelope
from ingest_api.outcomes import Outcome
from tests.integration.ingest_fixtures import Stored
from tests.integration.ingest_server import EVENT, KEY, OFF_KEY, Answer, ApiServer

NOISE = random.Random(1).randbytes(98_000).hex()  # noqa: S311 - the same in every process, and nothing compresses it


def _refused(answer: Answer, outcome: Outcome) -> None:
    assert answer.status == outcome.status, answer.body
    body = answer.json
    assert body["code"] == outcome.status
    assert body["error"] == outcome.error
    assert body["message"]
    assert body["request_id"] == answer.headers["x-request-id"]


# What a 200 promises


@pytest.mark.parametrize("packed", [False, True])
def test_the_clients_own_bytes_and_what_the_edge_knows_are_stored(
    server: ApiServer, stored: Stored, packed: bool
) -> None:
    body = b'{ "sent_at":"2026-11-22T10:00:01Z",\n "events" : [' + json.dumps(EVENT).encode() + b'], "x":1.50e0 }'
    sent = gzip.compress(body) if packed else body
    before = datetime.now(UTC)
    answer = server.post(sent, **({"Content_Encoding": "gzip"} if packed else {}))
    assert (answer.status, answer.json) == (200, {"accepted": 1, "quarantined": []})
    assert answer.headers["content-type"] == "application/json"
    (record,) = stored(answer)
    assert record.value == sent
    assert record.key == b"d-1"
    received_at = record.headers.pop("received_at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", received_at)
    assert before - timedelta(seconds=1) < datetime.fromisoformat(received_at) < datetime.now(UTC)
    assert record.headers == {
        "envelope_version": "1",
        "request_id": answer.headers["x-request-id"],
        "source_id": "test-app",
        "dialect": "v1",
        "content_encoding": "gzip" if packed else "identity",
        "event_count": "1",
    }


def test_the_record_parses_as_an_envelope(server: ApiServer, stored: Stored) -> None:
    answer = server.post({"events": [EVENT, {"event_name": 5}]})
    (record,) = stored(answer)
    envelope = Envelope.parse([(name, value.encode()) for name, value in record.headers.items()], record.value)
    assert envelope.event_count == 2
    assert envelope.rejected == {1: "event_name: expected str, got int"}
    assert envelope.value == record.value


def test_bad_events_are_listed_and_stored_with_their_neighbours(server: ApiServer, stored: Stored) -> None:
    half = rb'{"event_id":"h","event_name":"a","user_id":"u","p":"\ud83d"}'
    body = b'{"events":[{"event_id":"b1","user_id":"u"},' + json.dumps(EVENT).encode() + b"," + half + b",7]}"
    answer = server.post(body)
    assert answer.status == 200
    assert answer.json["accepted"] == 1
    named = [(bad["index"], bad["event_id"]) for bad in answer.json["quarantined"]]
    assert named == [(0, "b1"), (2, None), (3, None)]
    assert answer.json["quarantined"][0]["reason"] == "event_name is needed"
    (record,) = stored(answer)
    assert record.value == body
    assert record.key == b"d-1"
    assert record.headers["event_count"] == "4"
    reasons = {str(bad["index"]): bad["reason"] for bad in answer.json["quarantined"]}
    assert json.loads(record.headers["rejected"]) == reasons


def test_a_request_of_bad_events_only_is_stored_too(server: ApiServer, stored: Stored) -> None:
    answer = server.post({"events": [{}, None]})
    assert answer.status == 200
    assert answer.json["accepted"] == 0
    assert len(answer.json["quarantined"]) == 2
    (record,) = stored(answer)
    assert record.key is None


@pytest.mark.parametrize(
    "event",
    [
        b'{"event_name":"a","event_name":"b","user_id":"u"}',
        rb'{"event_name":"a","user_id":"u","p":{"nul":"\u0000","pair":"\ud83d\ude00"}}',
        b'{"event_name":"a","user_id":"u","n":' + b"9" * 5000 + b',"f":1e99999,"z":-0}',
        b'{"event_name":"a","user_id":"u","p":' + b"[" * 490 + b"]" * 490 + b"}",
        '{"event_name":"ä😀\u2028","user_id":"u"}'.encode(),
        b'{"event_name":"a","user_id":"u","":{"":[]}}',
    ],
)
def test_strange_json_is_kept_as_it_is(server: ApiServer, stored: Stored, event: bytes) -> None:
    body = b'{"events":[' + event + b"]}"
    answer = server.post(body)
    assert (answer.status, answer.json) == (200, {"accepted": 1, "quarantined": []})
    (record,) = stored(answer)
    assert record.value == body


# Where the key may come from, and what is answered without one


def test_basic_authorization_brings_the_key_as_user_name(server: ApiServer) -> None:
    basic = base64.b64encode(f"{KEY}:".encode()).decode()
    assert server.post({"events": [EVENT]}, Authorization=f"Basic {basic}").status == 200


@pytest.mark.parametrize(
    ("authorization", "outcome"),
    [
        ("", Outcome.MISSING_KEY),
        ("Digest x", Outcome.MISSING_KEY),
        ("Basic ???", Outcome.MISSING_KEY),
        ("Bearer wrong", Outcome.UNKNOWN_KEY),
        ("Bearer \xe9\xff", Outcome.UNKNOWN_KEY),
        (f"Bearer {OFF_KEY}", Outcome.SOURCE_DISABLED),
    ],
)
def test_wrong_keys(server: ApiServer, stored: Stored, authorization: str, outcome: Outcome) -> None:
    answer = server.post({"events": [EVENT]}, Authorization=authorization)
    if "\xe9" in authorization:
        assert answer.status == 401
        return
    _refused(answer, outcome)
    assert stored(answer) == []
    assert OFF_KEY.encode() not in answer.body
    if outcome.status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


# What is refused, and that nothing of it is stored


@pytest.mark.parametrize(
    ("body", "headers", "outcome"),
    [
        (b"", {}, Outcome.INVALID_BODY),
        (b"not json", {}, Outcome.INVALID_BODY),
        (b'{"events":[{"a":1}', {}, Outcome.INVALID_BODY),
        (b"[]", {}, Outcome.INVALID_BODY),
        (b"{}", {}, Outcome.INVALID_BODY),
        (b'{"events":{}}', {}, Outcome.INVALID_BODY),
        (b'{"events":[]}', {}, Outcome.NO_EVENTS),
        (b'{"events":[' + b"1," * 100 + b"1]}", {}, Outcome.TOO_MANY_EVENTS),
        (gzip.compress(b'{"events":[1]}', mtime=0)[:-3], {}, Outcome.INVALID_GZIP),
        (b'{"events":[1]}', {"Content_Encoding": "gzip"}, Outcome.INVALID_GZIP),
        (b'{"events":[1]}', {"Content_Encoding": "br"}, Outcome.INVALID_COMPRESSION),
        (b'{"events":[1]}', {"Content_Encoding": "compress"}, Outcome.UNSUPPORTED_ENCODING),
        (b" " * 200_001, {}, Outcome.BODY_TOO_LARGE),
        (gzip.compress(bytes(10_000_000), mtime=0), {}, Outcome.BODY_TOO_LARGE),
        (b'{"events":[1],"x":"' + NOISE.encode() + b'"}', {}, Outcome.RECORD_TOO_LARGE),
    ],
)
def test_refused(server: ApiServer, stored: Stored, body: bytes, headers: dict[str, str], outcome: Outcome) -> None:
    answer = server.post(body, **headers)
    _refused(answer, outcome)
    assert stored(answer) == []


def test_unknown_routes_and_methods(server: ApiServer) -> None:
    for path in ("/", "/v1/event", "/v1/events/e/f", "/docs/../etc/passwd", "/docs/index.html"):
        _refused(server.get(path), Outcome.NOT_FOUND)
    _refused(server.get("/v1/users/joe@example.com/shortkey123"), Outcome.NOT_FOUND)
    assert not [text for text in ("joe@", "shortkey123") if text in server.log()]
    for method in ("GET", "PUT", "DELETE"):
        answer = server.request(method, "/v1/events")
        _refused(answer, Outcome.METHOD_NOT_ALLOWED)
        assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/docs", "/docs/start.js/", "//docs//"])
def test_what_can_be_read_is_there_with_a_slash_too_many_and_for_those_who_ask_for_the_head(
    server: ApiServer, path: str
) -> None:
    answer, head = server.get(path), server.request("HEAD", path)
    assert (answer.status, head.status) == (200, 200)
    assert answer.body
    assert not head.body
