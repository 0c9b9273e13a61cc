"""The ingest API as a client meets it: a real process in front of a real broker, read back by an independent reader."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.envelope import Envelope
from include.contract.kafka_settings import TopicSettings
from ingest_api.outcomes import Outcome
from local.stack import Stack
from tests.integration.ingest_server import KEY, OFF_KEY, Answer, ApiServer, Record, read_topic, write_sources

EVENT = {"event_id": "e-1", "event_name": "opened", "device_id": "d-1", "occurred_at": "2026-11-22T10:00:00Z"}
LIMITS = {
    "INGEST_MAX_BODY_BYTES": "200000",
    "INGEST_MAX_INFLATED_BYTES": "1000000",
    "INGEST_MAX_EVENTS": "100",
    "TOPIC_MAX_MESSAGE_BYTES": "100000",
}

Stored = Callable[[Answer], list[Record]]


@pytest.fixture(scope="module")
def bootstrap(kafka: Stack) -> str:
    return kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]


@pytest.fixture(scope="module")
def topic_name(bootstrap: str) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    wish = TopicSettings(
        partitions=2,
        replication_factor=1,
        min_insync_replicas=1,
        max_message_bytes=int(LIMITS["TOPIC_MAX_MESSAGE_BYTES"]),
    )
    topic_spec.apply(AdminClient({"bootstrap.servers": bootstrap}), topic_spec.TopicSpec.of(name, wish))
    return name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, bootstrap: str, topic_name: str) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("ingest")
    environment = {
        **LIMITS,
        "TOPIC_PARTITIONS": "2",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "INGEST_KAFKA_TOPIC": topic_name,
        "INGEST_SOURCES_PATH": str(write_sources(folder / "sources.json")),
    }
    with ApiServer(folder, environment) as running:
        running.await_ready()
        yield running
        assert running.stop() == 0
        assert [line for line in running.log().splitlines() if '"level":"error"' in line] == []
        assert KEY not in running.log()


@pytest.fixture
def stored(bootstrap: str, topic_name: str, server: ApiServer) -> Stored:
    def find(answer: Answer) -> list[Record]:
        records = read_topic(bootstrap, topic_name)
        return [record for record in records if record.headers["request_id"] == answer.headers["x-request-id"]]

    return find


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
        b'{"event_name":"a","user_id":"u","p":' + b"[" * 800 + b"]" * 800 + b"}",
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
        (gzip.compress(b'{"events":[1]}')[:-3], {}, Outcome.INVALID_GZIP),
        (b'{"events":[1]}', {"Content_Encoding": "gzip"}, Outcome.INVALID_GZIP),
        (b'{"events":[1]}', {"Content_Encoding": "br"}, Outcome.UNSUPPORTED_ENCODING),
        (b" " * 200_001, {}, Outcome.BODY_TOO_LARGE),
        (gzip.compress(bytes(10_000_000)), {}, Outcome.BODY_TOO_LARGE),
        (b'{"events":["' + b"x" * 150_000 + b'"]}', {}, Outcome.RECORD_TOO_LARGE),
    ],
)
def test_refused(server: ApiServer, stored: Stored, body: bytes, headers: dict[str, str], outcome: Outcome) -> None:
    answer = server.post(body, **headers)
    _refused(answer, outcome)
    assert stored(answer) == []


def test_unknown_routes_and_methods(server: ApiServer) -> None:
    for path in ("/", "/v1/event", "/v1/events/", "/docs/../etc/passwd", "/docs/index.html"):
        _refused(server.get(path), Outcome.NOT_FOUND)
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = server.request(method, "/v1/events")
        _refused(answer, Outcome.METHOD_NOT_ALLOWED)
        assert answer.headers["allow"] == "POST"


# HTTP as clients really speak it


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

    accepted, rejected = 'ingest_events_total{verdict="accepted"}', 'ingest_events_total{verdict="rejected"}'
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
        "ingest_waiting_records",
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
