"""Uploads, read-back and switches over HTTP, body by body."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.unit.local.amplitude.calls import event, upload

ROUTES = pytest.mark.parametrize("path", ["/2/httpapi", "/batch"])
NOTHING: dict[str, Any] = {"missing_field": None, "events_with_invalid_fields": {}, "events_with_missing_fields": {}}


@ROUTES
def test_a_good_upload(client: TestClient, path: str) -> None:
    body = json.dumps({"api_key": "key-1", "events": [event(), event("i-2")]}).encode()
    for content, headers in ((body, {}), (gzip.compress(body), {"content-encoding": "gzip"})):
        answer = client.post(path, content=content, headers={"content-type": "application/json", **headers})
        assert (answer.status_code, answer.json()) == (
            200,
            {
                "code": 200, "events_ingested": 2, "payload_size_bytes": len(body),
                "server_upload_time": 1_795_393_297_500,
            },
        )  # fmt: skip
    stats = client.get("/_standin/stats").json()
    assert (stats["events"], stats["duplicates"]) == (2, 2)


@ROUTES
@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        (b"", {"error": "Missing request body"}),
        (b"{", {"error": "Invalid JSON request body"}),
        (b"[]", {"error": "Invalid JSON request body"}),
        (b"[" * 100_000, {"error": "Invalid JSON request body"}),
        (b'{"events":[]}', {"error": "Request missing required field", "missing_field": "api_key"}),
        (b'{"api_key":"key-1"}', {"error": "Request missing required field", "missing_field": "events"}),
        (b'{"api_key":"key-1","events":[]}', {"error": "Request missing required field", "missing_field": "events"}),
        (b'{"api_key":"other","events":[{}]}', {"error": "Invalid API key"}),
        (b'{"api_key":"key-1","events":{"a":1}}', {"error": "Invalid event JSON"}),
        (b'{"api_key":"key-1","events":["a"]}', {"error": "Invalid event JSON"}),
    ],
)
def test_refused_requests(client: TestClient, path: str, request_body: bytes, expected: dict[str, Any]) -> None:
    answer = client.post(path, content=request_body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"code": 400, **NOTHING, **expected})


def test_broken_gzip_and_another_content_type_are_refused(client: TestClient) -> None:
    broken = client.post(
        "/batch", content=b"{}", headers={"content-encoding": "gzip", "content-type": "application/json"}
    )
    assert (broken.status_code, broken.json()["error"]) == (400, "Invalid JSON request body")
    assert client.post("/batch", content=b"{}", headers={"content-type": "text/plain"}).status_code == 400


def test_bad_events_are_named_by_index_and_nothing_is_stored(client: TestClient) -> None:
    code, body = upload(client, event(), event("i-2", time="now"), event("i-3", event_type=None, time=1.5))
    assert (code, body["error"]) == (400, "Request missing required field")
    assert body["events_with_missing_fields"] == {"event_type": [2]}
    assert body["events_with_invalid_fields"] == {"time": [1, 2]}
    assert upload(client, event(time="now"))[1]["error"] == "Invalid field values on some events"
    assert client.get("/_standin/stats").json()["events"] == 0


def test_short_ids_are_named_unless_the_request_lowers_the_minimum(client: TestClient) -> None:
    code, body = upload(client, event(device_id="d1"))
    assert (code, body["error"]) == (400, "Invalid id length for user_id or device_id")
    assert body["events_with_invalid_id_lengths"] == {"device_id": [0]}
    assert upload(client, event(device_id="d1"), options={"min_id_length": 1})[0] == 200


@pytest.mark.parametrize(("path", "most_bytes"), [("/2/httpapi", 1_000_000), ("/batch", 20_000_000)])
def test_size_limits(client: TestClient, path: str, most_bytes: int) -> None:
    body = json.dumps({"api_key": "key-1", "events": [event()]}).encode()
    headers = {"content-type": "application/json"}
    assert client.post(path, content=body.ljust(most_bytes), headers=headers).status_code == 200
    too_large = client.post(path, content=body.ljust(most_bytes + 1), headers=headers)
    assert (too_large.status_code, too_large.json()) == (413, {"code": 413, "error": "Payload too large"})
    packed = gzip.compress(body.ljust(most_bytes + 1))
    assert client.post(path, content=packed, headers={**headers, "content-encoding": "gzip"}).status_code == 413


@ROUTES
def test_a_request_holds_at_most_2000_events(client: TestClient, path: str) -> None:
    events = [event(f"i-{index}", device_id=f"device-{index}") for index in range(2001)]
    assert upload(client, *events, path=path)[0] == 413
    assert upload(client, *events[:2000], path=path)[0] == 200


def test_the_two_routes_throttle_at_their_own_rate(client: TestClient) -> None:
    events = [event(f"i-{index}") for index in range(901)]
    code, body = upload(client, *events, path="/2/httpapi")
    assert (code, body["eps_threshold"], body["throttled_devices"]) == (429, 30, {"device-1": 31})
    assert upload(client, *events, path="/batch")[0] == 200


def test_reading_back(client: TestClient) -> None:
    upload(client, event(), event("i-2", device_id=None, user_id="user-1", colour="blue"))
    found = client.get("/_standin/events", params={"insert_id": ["i-2", "i-9", "i-1"]}).json()
    assert [one["event"]["insert_id"] for one in found] == ["i-2", "i-1"]
    assert found[1] == {"row": 1, "server_upload_time": 1_795_393_297_500, "via": "batch", "event": event()}
    assert set(found[0]["event"]) == {"device_id", "user_id", "event_type", "time", "insert_id"}
    assert client.get("/_standin/events").status_code == 400
    first = client.get("/_standin/insert_ids")
    assert (first.text, first.headers["x-last-row"]) == ("i-1\ni-2\n", "2")
    assert client.get("/_standin/insert_ids", params={"since_row": 1}).text == "i-2\n"
    assert client.get("/_standin/insert_ids", params={"since_row": "x"}).status_code == 400
    assert client.get("/health").json() == {"status": "ok"}


def test_refusals_are_counted_by_reason(client: TestClient) -> None:
    upload(client, event(), api_key="other")
    upload(client, event(time="now"), path="/2/httpapi")
    refused = client.get("/_standin/stats").json()["refused_requests"]
    assert refused == {"batch: Invalid API key": 1, "httpapi: Invalid field values on some events": 1}


def test_a_switched_on_failure_stores_nothing(client: TestClient) -> None:
    client.post("/_standin/fail", json={"status": 503, "count": 2})
    assert [upload(client, event())[0] for _ in range(3)] == [503, 503, 200]
    client.post("/_standin/fail", json={"status": 429})
    assert upload(client, event("i-2"), event("i-3"))[1]["throttled_events"] == [0, 1]
    assert client.get("/_standin/stats").json()["events"] == 1


def test_accept_then_500_stores_and_fails(client: TestClient) -> None:
    client.post("/_standin/fail", json={"mode": "accept_then_500"})
    assert [upload(client, event())[0] for _ in range(2)] == [500, 200]
    stats = client.get("/_standin/stats").json()
    assert (stats["events"], stats["duplicates"], stats["faults_left"]) == (1, 1, 0)
    assert client.post("/_standin/fail", json={"status": "often"}).status_code == 400
