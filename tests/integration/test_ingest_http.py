"""The ingest API's HTTP as clients really speak it, and what operators read: health, metrics, documentation, log."""

from __future__ import annotations

import http.client
import json
import re
import socket
import uuid

import pytest

from tests.integration.ingest_fixtures import Stored
from tests.integration.ingest_server import EVENT, KEY, Answer, ApiServer


def _raw(server: ApiServer, request: bytes) -> http.client.HTTPResponse:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(request)
    response = http.client.HTTPResponse(connection)
    response.begin()
    connection.close()
    return response


def _head(*lines: str) -> bytes:
    fixed = ("POST /v1/events HTTP/1.1", "Host: x", f"Authorization: Bearer {KEY}", *lines, "", "")
    return "\r\n".join(fixed).encode()


def test_chunked_bodies_are_accepted_up_to_the_limit(server: ApiServer, stored: Stored) -> None:
    body = json.dumps({"events": [EVENT] * 20}).encode()
    chunks = (
        b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:900], body[900:])) + b"0\r\n\r\n"
    )
    with _raw(server, _head("Transfer-Encoding: chunked", "Connection: close") + chunks) as response:
        assert response.status == 200
        assert json.loads(response.read())["accepted"] == 20
        answer = Answer(200, {"x-request-id": response.headers["X-Request-Id"]}, b"")
    (record,) = stored(answer)
    assert record.value == body
    large = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with _raw(server, _head("Transfer-Encoding: chunked") + large * 5) as response:
        assert response.status == 413


def test_a_client_that_sends_too_much_sees_the_answer(server: ApiServer, stored: Stored) -> None:
    answer = server.post(b'{"events":[' + b" " * 10_000_000 + b"]}")
    assert (answer.status, answer.json["error"]) == (413, "body_too_large")
    assert stored(answer) == []


def test_several_requests_on_one_connection(server: ApiServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    ids = set()
    for number in range(20):
        body = json.dumps({"events": [{**EVENT, "event_id": f"k-{number}"}]})
        connection.request("POST", "/v1/events", body, {"Authorization": f"Bearer {KEY}"})
        response = connection.getresponse()
        assert response.status == 200
        ids.add(response.headers["X-Request-Id"])
        response.read()
    connection.close()
    assert len(ids) == 20


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\0\0\0\0",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_not_http_ends_the_connection_only(server: ApiServer, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert not answer.startswith(b"HTTP/1.1 2")
    assert server.get("/health/live").status == 200


def test_a_client_that_goes_away_leaves_the_api_well(server: ApiServer) -> None:
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(_head("Content-Length: 1000") + b'{"events"')
        connection.close()
        body = json.dumps({"events": [EVENT]}).encode()
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(_head(f"Content-Length: {len(body)}") + body)
        connection.close()
    assert server.post({"events": [EVENT]}).status == 200


# Health, metrics, documentation


def test_health(server: ApiServer) -> None:
    assert server.get("/health/live").json == {"status": "live"}
    assert server.get("/health/ready").json == {"status": "ready", "reasons": [], "warnings": []}


def test_metrics_are_a_closed_list_and_count(server: ApiServer) -> None:
    def value(name: str) -> float:
        (line,) = [line for line in server.get("/metrics").body.decode().splitlines() if line.startswith(name + " ")]
        return float(line.rpartition(" ")[2])

    accepted, rejected = 'ingest_events_total{verdict="accepted"}', 'ingest_events_total{verdict="quarantined"}'
    server.post({"events": [EVENT, {}]})
    before = value(accepted), value(rejected), value("ingest_store_seconds_count")
    body = json.dumps({"events": [EVENT, EVENT, {}]}).encode()
    assert server.post(body).status == 200
    assert (value(accepted), value(rejected), value("ingest_store_seconds_count")) == (
        before[0] + 2,
        before[1] + 1,
        before[2] + 1,
    )
    assert value("ingest_ready") == 1
    text = server.get("/metrics").body.decode()
    assert set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) == {
        "ingest_requests_total",
        "ingest_events_total",
        "ingest_body_bytes_total",
        "ingest_store_seconds",
        "ingest_in_flight_requests",
        "ingest_in_flight_bytes",
        "ingest_in_line_requests",
        "ingest_rated_devices",
        "ingest_waiting_records",
        "ingest_spool_waiting_records",
        "ingest_spool_waiting_bytes",
        "ingest_spool_oldest_seconds",
        "ingest_spooled_records_total",
        "ingest_spool_failed_records_total",
        "ingest_spool_set_aside_files",
        "ingest_ready",
    }


def test_the_openapi_document_names_every_route(server: ApiServer) -> None:
    document = server.get("/openapi.json").json
    for path, operations in document["paths"].items():
        for method in operations:
            assert server.request(method.upper(), path).status not in {404, 405}
    assert "100 events" in document["info"]["description"]


def test_the_docs_page_loads_from_this_process_alone(server: ApiServer) -> None:
    page = server.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert len(linked) == 4
    for path in linked:
        assert path.startswith("/docs/")
        asset = server.get(path)
        assert asset.status == 200, path
        assert len(asset.body) > 50


def test_a_refusal_is_logged_with_its_request_id_and_nothing_personal(server: ApiServer) -> None:
    secret = f"secret-{uuid.uuid4().hex}"
    answer = server.post(json.dumps({"events": secret}).encode(), Authorization=f"Bearer {secret}")
    lines = [json.loads(line) for line in server.log().splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == answer.headers["x-request-id"]]
    assert line["outcome"] == "unknown_key"
    assert secret not in server.log()
