"""What a real API lets one client do: how fast, how slow, how large and in which encoding it may send."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import brotli
import pytest
from backports import zstd

from local.stack import Stack
from tests.integration.ingest_clients import amplitude, basic, dawdlers, head, own, segment, trickle
from tests.integration.ingest_fixtures import LIMITS, Stored
from tests.integration.ingest_server import EVENT, KEY, ApiServer

BODY = json.dumps({"events": [EVENT] * 20}).encode()
PER_SECOND = 10


def _entry(name: str, limits: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "write_key_sha256": [hashlib.sha256(name.encode()).hexdigest()],
        "limits": limits,
    }


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, kafka: Stack, ingest_topic: str) -> Iterator[ApiServer]:
    """An API with little patience, and sources with limits; a key is its source's name."""
    folder = tmp_path_factory.mktemp("strict")
    entries = [
        {**_entry("test-app", {}), "write_key_sha256": [hashlib.sha256(KEY.encode()).hexdigest()]},
        *(_entry(f"limited-{name}", {"events_per_second": PER_SECOND}) for name in ("own", "amplitude", "segment")),
        _entry("by-device", {"device_events_per_second": 1}),
    ]
    (folder / "sources.json").write_text(json.dumps({"sources": entries}))
    environment = {
        **LIMITS,
        "TOPIC_PARTITIONS": "2",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
        "INGEST_KAFKA_TOPIC": ingest_topic,
        "INGEST_SOURCES_PATH": str(folder / "sources.json"),
        "INGEST_GRACE_SECONDS": "0",
        "INGEST_BODY_TIMEOUT_MS": "1000",
        "INGEST_HEADER_TIMEOUT_MS": "1000",
        "INGEST_MAX_EVENT_BYTES": "2000",
        "INGEST_MAX_CONNECTIONS": "400",
        "INGEST_MAX_IN_FLIGHT_BYTES": "6000000",
    }
    with ApiServer(folder, environment) as server:
        server.await_ready()
        yield server
        assert server.stop() == 0
        assert [line for line in server.log().splitlines() if '"level":"error"' in line] == []


# How fast


def test_a_source_above_its_rate_is_told_how_long_to_wait_as_its_sdk_understands_it(strict: ApiServer) -> None:
    batch = json.dumps({"events": [EVENT] * 40}).encode()
    mine = {"Authorization": "Bearer limited-own"}
    assert strict.post(batch, **mine).status == 200
    refused = strict.post(batch, **mine)
    assert (refused.status, refused.json["error"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 3
    assert segment(strict, "limited-segment", events=40).status == 200
    answer = segment(strict, "limited-segment")
    assert (answer.status, answer.json["code"]) == (429, 429)
    assert 1 <= int(answer.headers["retry-after"]) <= 3
    answers = [amplitude(strict, key="limited-amplitude") for _ in range(40)]
    limited = next(one for one in answers if one.status != 200)
    assert (limited.status, limited.json["code"], limited.json["error"]) == (429, 429, "rate_limited")
    assert limited.json["throttled_events"] == list(range(2000))
    assert own(strict).status == 200
    time.sleep(int(refused.headers["retry-after"]))
    assert strict.post(batch, **mine).status == 200


def test_a_device_above_its_rate_leaves_the_others_alone(strict: ApiServer) -> None:
    assert amplitude(strict, device="loud", key="by-device").status == 200
    answers = [amplitude(strict, device="loud", key="by-device") for _ in range(5)]
    assert 429 in {answer.status for answer in answers}
    assert {amplitude(strict, device=f"quiet-{number}", key="by-device").status for number in range(5)} == {200}
    assert "ingest_rated_devices 6.0" in strict.get("/metrics").body.decode()


def _by_device(server: ApiServer, path: str, body: Any, **headers: str) -> int:
    named = {"Authorization": "Bearer by-device", **headers}
    return server.request("POST", path, json.dumps(body).encode(), named).status


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/2/httpapi", {"events": [{"device_id": 77, "event_type": "a"}] * 30}, {}),
        ("/2/httpapi", {"events": [5, {}, *[{"device_id": "behind", "event_type": "a"}] * 30]}, {}),
        ("/v1/batch", {"batch": [{"type": "track", "event": "a"}] * 30}, {"AnonymousId": "cnVkZGVy"}),
    ],
)
def test_a_device_is_known_however_it_is_named(
    strict: ApiServer, path: str, body: Any, headers: dict[str, str]
) -> None:
    assert [_by_device(strict, path, body, **headers) for _ in range(2)] == [200, 429]


def test_a_source_that_must_wait_is_refused_before_its_body_comes(strict: ApiServer) -> None:
    mine = {"Authorization": "Bearer limited-own"}
    while strict.post(BODY, **mine).status == 200:
        pass
    request = head("/v1/events", "Content-Length: 90000").replace(KEY.encode(), b"limited-own")
    with dawdlers(strict, 1, request) as (connection,):
        assert connection.recv(12) == b"HTTP/1.1 429"


# How slow


@pytest.mark.parametrize(
    "first",
    [
        head("/v1/events", "Content-Length: 1000"),
        head("/v1/events", "Content-Length: 150000"),
        head("/2/httpapi", "Transfer-Encoding: chunked") + b"FFFF\r\n",
    ],
)
def test_a_body_that_trickles_in_ends_with_408(strict: ApiServer, first: bytes) -> None:
    began = time.monotonic()
    with dawdlers(strict, 1, first) as (connection,):
        answer = trickle(connection, began + 5)
    assert 0.9 < time.monotonic() - began < 3
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in answer


@pytest.mark.parametrize("first", [b"", b"POST /v1/events HT", b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-A: "])
def test_a_head_that_trickles_in_and_an_idle_connection_end(strict: ApiServer, first: bytes) -> None:
    began = time.monotonic()
    with dawdlers(strict, 1, first) as (connection,):
        assert connection.recv(100) == b""
    assert time.monotonic() - began < 3


def test_slow_clients_keep_nobody_out(strict: ApiServer) -> None:
    """What a body may hold before it comes is so little that all connections together cannot fill the room."""
    with dawdlers(strict, 300, head("/v1/events", "Content-Length: 150000") + b"x" * 100):
        began = time.monotonic()
        assert [strict.post(BODY).status for _ in range(20)] == [200] * 20
        assert strict.get("/health/ready").status == 200
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/t", "/2/httpapi", "/v1/events"])
def test_a_wrong_key_in_a_header_is_refused_before_the_body_comes(strict: ApiServer, path: str) -> None:
    request = head(path, "Content-Length: 150000").replace(b"Bearer " + KEY.encode(), basic("nobody").encode())
    began = time.monotonic()
    with dawdlers(strict, 1, request + b"x" * 1000) as (connection,):
        assert connection.recv(12) == b"HTTP/1.1 401"
    assert time.monotonic() - began < 2


# How large, and how packed


def test_an_event_that_is_too_large_costs_only_itself(strict: ApiServer) -> None:
    large = {**EVENT, "event_id": "e-large", "event_properties": {"text": "x" * 2_000}}
    answer = strict.post({"events": [EVENT, large, {"event_id": "e-bad"}, EVENT]})
    assert answer.status == 200
    assert answer.json == {
        "accepted": 2,
        "quarantined": [
            {"index": 1, "event_id": "e-large", "reason": "larger than 2000 bytes"},
            {"index": 2, "event_id": "e-bad", "reason": "event_name is needed"},
        ],
    }


@pytest.mark.parametrize(
    ("encoding", "pack"), [("zstd", zstd.compress), ("br", brotli.compress), ("deflate", zlib.compress)]
)
def test_what_the_drain_does_not_know_is_stored_as_gzip(
    server: ApiServer, stored: Stored, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    answer = server.post(pack(BODY), Content_Encoding=encoding)
    assert answer.json["accepted"] == 20
    (record,) = stored(answer)
    assert record.headers["content_encoding"] == "gzip"
    assert gzip.decompress(record.value) == BODY
    broken = server.post(pack(BODY)[:-2], Content_Encoding=encoding)
    assert (broken.status, broken.json["error"]) == (400, "invalid_compression")
    bomb = server.post(pack(bytes(50_000_000)), Content_Encoding=encoding)
    assert (bomb.status, bomb.json["error"]) == (413, "body_too_large")


def test_a_megabyte_of_empty_gzip_streams_costs_nothing(server: ApiServer) -> None:
    body = gzip.compress(b"") * 9_000
    began = time.monotonic()
    answer = server.post(body)
    assert (answer.status, answer.json["error"]) == (400, "invalid_gzip")
    assert time.monotonic() - began < 1


def test_a_length_beside_chunks_does_not_smuggle_a_body_past_the_limit(server: ApiServer) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head("/v1/events", "Content-Length: 5", "Transfer-Encoding: chunked"))
        try:
            for _ in range(100):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
            answer = connection.recv(65_536)
        except OSError:
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 2")
    assert server.post(BODY).status == 200


@pytest.mark.parametrize("lines", [["X-Long: " + "x" * 500_000], [f"X-{number}: x" for number in range(500)]])
def test_headers_beyond_reason_are_refused(server: ApiServer, lines: list[str]) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(head("/v1/events", *lines))
        assert connection.recv(12) == b"HTTP/1.1 431"
    assert server.post(BODY).status == 200
