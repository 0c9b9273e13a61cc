"""The vendors' routes of the ingest API: what their SDKs hear, and what lies in the topic afterwards."""

from __future__ import annotations

import base64
import gzip
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from include.contract.dialects import reader
from include.contract.envelope import Envelope
from tests.integration.ingest_fixtures import LIMITS, Stored
from tests.integration.ingest_server import KEY, OFF_KEY, Answer, ApiServer, Record

BASIC = {"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}
IDENTIFY = {"user_id": "u-1", "user_properties": {"$set": {"plan": "gold"}}}
TRACK = {"type": "track", "event": "opened", "anonymousId": "d-1", "messageId": "m-1"}
CALLS = ["track", "identify", "page", "screen", "group", "alias"]


def _post(server: ApiServer, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
    return server.request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)


def _amplitude(*events: Any, key: str = KEY) -> dict[str, Any]:
    found = [{"event_type": "opened", "device_id": "d-1", "insert_id": f"i-{number}"} for number in range(2)]
    return {"api_key": key, "events": list(events) or found, "options": {}}


def _read_by_the_drain(record: Record) -> list[Any]:
    envelope = Envelope.parse([(name, text.encode()) for name, text in record.headers.items()], record.value)
    body = gzip.decompress(record.value) if envelope.content_encoding == "gzip" else record.value
    return reader(envelope.dialect, envelope.call).parse(body, envelope).events


# What each vendor's SDK sends, and hears


@pytest.mark.parametrize("path", ["/2/httpapi", "/batch"])
@pytest.mark.parametrize("packed", [False, True])
def test_amplitude(server: ApiServer, stored: Stored, path: str, packed: bool) -> None:
    body = json.dumps(_amplitude()).encode()
    answer = _post(server, path, gzip.compress(body) if packed else body, {"Content-Type": "text/plain"})
    assert answer.status == 200
    assert {"code": 200, "events_ingested": 2}.items() <= answer.json.items()
    assert answer.json["payload_size_bytes"] == len(body)
    (record,) = stored(answer)
    value = gzip.decompress(record.value) if packed else record.value
    assert value == body.replace(KEY.encode(), b"***")
    assert (record.headers["dialect"], record.headers["source_id"]) == ("amplitude", "test-app")
    assert record.key == b"d-1"
    assert [event.event_id for event in _read_by_the_drain(record)] == ["i-0", "i-1"]


@pytest.mark.parametrize("one", [IDENTIFY, [IDENTIFY]])
@pytest.mark.parametrize("form", [True, False])
def test_amplitude_identify(server: ApiServer, stored: Stored, one: Any, form: bool) -> None:
    body = {"api_key": KEY, "identification": json.dumps(one) if form else one}
    answer = _post(server, "/identify", urlencode(body).encode() if form else body)
    assert (answer.status, answer.json["events_ingested"]) == (200, 1)
    (record,) = stored(answer)
    assert KEY.encode() not in record.value
    (event,) = _read_by_the_drain(record)
    assert (event.event_name, event.user_id) == ("$identify", "u-1")
    assert json.loads(bytes(event.user_properties)) == {"$set": {"plan": "gold"}}


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/b"])
@pytest.mark.parametrize("where", ["header", "body", "both"])
def test_segment_batches(server: ApiServer, stored: Stored, path: str, where: str) -> None:
    body = {"batch": [TRACK, {**TRACK, "messageId": "m-2"}], **({} if where == "header" else {"writeKey": KEY})}
    answer = _post(server, path, body, {} if where == "body" else BASIC)
    assert (answer.status, answer.json) == (200, {"success": True})
    (record,) = stored(answer)
    assert KEY.encode() not in record.value
    assert record.headers["dialect"] == "segment"
    assert [event.event_id for event in _read_by_the_drain(record)] == ["m-1", "m-2"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("short", [True, False])
def test_segment_single_calls(server: ApiServer, stored: Stored, call: str, short: bool) -> None:
    body = {"userId": "u-1", "event": "opened", "messageId": f"m-{call}"}
    answer = _post(server, f"/v1/{call[0] if short else call}", body, BASIC)
    assert (answer.status, answer.json) == (200, {"success": True})
    (record,) = stored(answer)
    (event,) = _read_by_the_drain(record)
    assert (event.event_name, event.event_id) == ("opened" if call == "track" else call, f"m-{call}")


@pytest.mark.parametrize(("path", "body"), [
    ("/v1/batch", {"batch": [{**TRACK, "writeKey": KEY}]}),
    ("/v1/track", {**TRACK, "properties": {"key": KEY}}),
    ("/2/httpapi", {"apiKey": KEY, "events": [{"event_type": "a", "user_id": "u"}]}),
])  # fmt: skip
def test_the_key_is_stored_nowhere_wherever_a_client_put_it(
    server: ApiServer, stored: Stored, path: str, body: dict[str, Any]
) -> None:
    (record,) = stored(_post(server, path, body, BASIC))
    assert KEY.encode() not in record.value
    assert record.value == json.dumps(body).encode().replace(KEY.encode(), b"***")
    assert not any(KEY in text for text in record.headers.values())


@pytest.mark.parametrize("path", ["/v1//batch", "//v1/batch/", "/v1/batch/"])
def test_a_slash_too_many_is_forgiven(server: ApiServer, path: str) -> None:
    assert _post(server, path, {"batch": [TRACK]}, BASIC).status == 200


def test_rudderstack(server: ApiServer, stored: Stored) -> None:
    device = base64.b64encode(b"d-9").decode()
    headers = {**BASIC, "AnonymousId": device, "SentAt": "2026-11-22T10:00:00.000Z"}
    answer = _post(server, "/v1/batch", {"batch": [{"type": "track", "event": "opened", "channel": "web"}]}, headers)
    assert (answer.status, answer.json) == (200, "OK")
    (record,) = stored(answer)
    assert record.headers["dialect"] == "rudder"
    assert record.headers["client_sent_at"] == "2026-11-22T10:00:00.000Z"
    (event,) = _read_by_the_drain(record)
    assert (event.device_id, event.platform) == ("d-9", "web")


def test_a_beacon_has_its_key_in_the_url(server: ApiServer, stored: Stored) -> None:
    answer = _post(server, f"/beacon/v1/batch?writeKey={KEY}", {"batch": [{**TRACK, "channel": "web"}]})
    assert answer.status == 200
    assert len(stored(answer)) == 1


# Bad events and bad requests


def test_a_bad_event_is_taken_with_its_neighbours(server: ApiServer, stored: Stored) -> None:
    half = rb'{"event_type":"a","user_id":"\ud83d"}'
    body = b'{"api_key":"%s","events":[{"event_type":"a","user_id":"u"},7,%s]}' % (KEY.encode(), half)
    answer = _post(server, "/2/httpapi", body)
    assert (answer.status, answer.json["events_ingested"]) == (200, 3)
    (record,) = stored(answer)
    assert record.headers["event_count"] == "3"
    assert [event.event_name for event in _read_by_the_drain(record)] == ["a", None, None]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/2/httpapi", b"", 400, "invalid_body"),
        ("/2/httpapi", b'{"api_key":"' + KEY.encode() + b'"}', 400, "invalid_body"),
        ("/2/httpapi", {"api_key": KEY, "events": []}, 400, "no_events"),
        ("/2/httpapi", {"events": [{}]}, 401, "missing_key"),
        ("/2/httpapi", b'{"api_key":"%s","events":[1],"events":[2]}' % KEY.encode(), 400, "invalid_body"),
        ("/2/httpapi", {"api_key": KEY, "events": [1] * 101}, 413, "too_many_events"),
        ("/identify", b"identification=%7B", 400, "invalid_body"),
        ("/identify", b"\xff=\xff", 400, "invalid_body"),
        ("/v1/batch", {"batch": [TRACK]}, 401, "missing_key"),
        ("/v1/track", b"[]", 400, "invalid_body"),
    ],
)
def test_errors_have_all_that_the_sdks_read(server: ApiServer, path: str, body: Any, status: int, error: str) -> None:
    answer = _post(server, path, body)
    assert (answer.status, answer.json["code"], answer.json["error"]) == (status, status, error), answer.body
    assert answer.json["message"]
    assert KEY not in answer.body.decode()


@pytest.mark.parametrize("key", [OFF_KEY, "never-seen"])
@pytest.mark.parametrize(
    "post",
    [
        lambda server, key: _post(server, "/2/httpapi", _amplitude(key=key)),
        lambda server, key: _post(server, "/v1/batch", {"batch": [TRACK], "writeKey": key}),
        lambda server, key: server.request("GET", f"/sourceConfig?writeKey={key}"),
    ],
)
def test_an_operators_mistake_is_not_final(
    server: ApiServer, post: Callable[[ApiServer, str], Answer], key: str
) -> None:
    answer = post(server, key)
    assert answer.status == 503
    assert answer.json["error"] in {"key_not_yet_known", "source_on_hold"}
    assert int(answer.headers["retry-after"]) > 0
    assert key not in answer.body.decode()


# Requests larger than a record


@pytest.mark.parametrize("dialect", ["v1", "amplitude", "segment"])
def test_a_request_larger_than_a_record_is_divided(server: ApiServer, stored: Stored, dialect: str) -> None:
    most = int(LIMITS["TOPIC_MAX_MESSAGE_BYTES"])
    padding = [secrets.token_hex(1_500) for _ in range(50)]
    ids = [f"{dialect}-{number}" for number in range(50)]
    if dialect == "v1":
        events: list[Any] = [
            {"event_id": i, "event_name": "a", "user_id": "u", "x": p} for i, p in zip(ids, padding, strict=True)
        ]
        events[30] = {"event_id": ids[30], "event_name": 7, "user_id": "u"}
        answer = server.post({"events": events, "sent_at": "2026-11-22T10:00:00Z"})
        assert [bad["index"] for bad in answer.json["quarantined"]] == [30]
    elif dialect == "amplitude":
        events = [
            {"insert_id": i, "event_type": "a", "user_id": "u", "x": p} for i, p in zip(ids, padding, strict=True)
        ]
        answer = _post(
            server, "/batch", {"api_key": KEY, "events": events, "client_upload_time": "2026-11-22T10:00:00Z"}
        )
    else:
        events = [{**TRACK, "messageId": i, "properties": {"x": p}} for i, p in zip(ids, padding, strict=True)]
        answer = _post(server, "/v1/batch", {"writeKey": KEY, "batch": events})
    assert answer.status == 200
    records = stored(answer)
    assert len(records) > 1
    assert all(len(record.value) < most and KEY.encode() not in gzip.decompress(record.value) for record in records)
    records.sort(key=lambda record: record.headers["part"])
    assert [record.headers["part"] for record in records] == [f"{n}/{len(records)}" for n in range(1, len(records) + 1)]
    found = [json.loads(gzip.decompress(record.value)) for record in records]
    list_name, id_name = {"v1": ("events", "event_id"), "amplitude": ("events", "insert_id")}.get(
        dialect, ("batch", "messageId")
    )
    assert [event[id_name] for body in found for event in body[list_name]] == ids
    counts = [int(record.headers["event_count"]) for record in records]
    assert counts == [len(body[list_name]) for body in found]
    if dialect == "v1":
        marked = [
            sum(counts[:n]) + int(i)
            for n, record in enumerate(records)
            for i in json.loads(record.headers.get("rejected", "{}"))
        ]
        assert marked == [30]


# What SDKs and browsers ask for beside


def test_pages_on_other_hosts_may_post(server: ApiServer) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, anonymousid, rsa-anything, x-evil\r",
    }
    asked["Access-Control-Request-Headers"] = "content-type, anonymousid, rsa-anything, x-evil"
    for path in ("/2/httpapi", "/v1/batch", "/v1/t", "/v1/events", "/v1/projects/k/settings"):
        answer = server.request("OPTIONS", path, headers=asked)
        assert answer.status == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        allowed = answer.headers["access-control-allow-headers"].lower()
        assert all(
            name in allowed
            for name in (
                "authorization",
                "content-type",
                "content-encoding",
                "anonymousid",
                "sentat",
                "x-retry-count",
                "rsa-anything",
            )
        )
        assert "x-evil" not in allowed
    refused = _post(server, "/2/httpapi", b"", {"Origin": "https://shop.example"})
    assert refused.headers["access-control-allow-origin"] == "*"
    assert server.request("OPTIONS", "/health/ready", headers=asked).status == 405


@pytest.mark.parametrize("prefix", ["/v1/projects", "/projects"])
def test_segments_settings_lead_back_here(server: ApiServer, prefix: str) -> None:
    answer = server.request("GET", f"{prefix}/{KEY}/settings", headers={"Host": "events.shop.example"})
    assert answer.status == 200
    segment = answer.json["integrations"]["Segment.io"]
    assert segment["apiHost"] == "events.shop.example/v1"
    assert segment["apiKey"] == KEY


def test_rudderstacks_configuration(server: ApiServer) -> None:
    for answer in (
        server.request("GET", "/sourceConfig", headers=BASIC),
        server.request("GET", f"/sourceConfig?p=web&writeKey={KEY}"),
    ):
        assert answer.status == 200
        source = answer.json["source"]
        assert (source["id"], source["enabled"], source["destinations"]) == ("test-app", True, [])


@pytest.mark.parametrize("path", ["/m", "/v1/m"])
def test_telemetry_is_taken_and_forgotten(server: ApiServer, stored: Stored, path: str) -> None:
    answer = _post(server, path, {"series": [{"metric": "x"}]})
    assert (answer.status, answer.json) == (200, {"success": True})
    assert stored(answer) == []


def test_keys_are_in_no_log(server: ApiServer) -> None:
    secret = "sk_" + secrets.token_hex(12)
    _post(server, "/2/httpapi", _amplitude(key=secret))
    _post(server, f"/beacon/v1/batch?writeKey={secret}", b"x")
    server.request("GET", f"/v1/projects/{secret}/setting")
    server.request("GET", f"/sourceConfig?writeKey={secret}")
    assert secret not in server.log()
    assert secret not in server.get("/metrics").body.decode()
