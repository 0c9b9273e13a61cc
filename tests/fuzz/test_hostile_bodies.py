"""Small requests that inflate to the worst of everything, at the limits as shipped: none may cost more than it says."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from local.stack import Stack
from tests.fuzz.watched_api import WatchedApi
from tests.integration.ingest_server import EVENT, KEY, ApiServer, write_sources

_BYTES = 20_000_000
_SECONDS = 25.0
"""What grows with the square of the size takes minutes, also on a machine that nobody else uses."""

_GROWTH_BYTES = 1_500 * 1024 * 1024
_ANSWER_BYTES = 1_000_000
_GOOD = b'{"event_name":"a","user_id":"u"},'


def _filled(start: bytes, piece: bytes, end: bytes) -> bytes:
    return start + piece * ((_BYTES - len(start) - len(end)) // len(piece)) + end


_BODIES: dict[str, Callable[[], bytes]] = {
    "spaces": lambda: b" " * _BYTES,
    "spaces behind a bad event": lambda: _filled(b'{"events":[NaN]}', b" ", b""),
    "spaces in front of a bad event": lambda: _filled(b'{"events":[', b" ", b"NaN]}"),
    "quotation marks": lambda: b'"' * _BYTES,
    "backslashes": lambda: b'"' + b"\\" * _BYTES,
    "escaped quotation marks": lambda: b'\\"' * (_BYTES // 2),
    "opening brackets": lambda: b"[" * _BYTES,
    "nested": lambda: b'{"events":[' + b"[" * (_BYTES // 2) + b"]" * (_BYTES // 2 - 20) + b"]}",
    "nested requests": lambda: b'{"events":[' * (_BYTES // 11),
    "empty events": lambda: _filled(b'{"events":[', b"{},", b"{}]}"),
    "numbers for events": lambda: _filled(b'{"events":[', b"1,", b"1]}"),
    "good events": lambda: _filled(b'{"events":[', _GOOD, b"{}]}"),
    "good events and one that is no JSON": lambda: _filled(b'{"events":[', _GOOD, b"NaN]}"),
    "commas": lambda: _filled(b'{"events":[', b",", b"NaN]}"),
    "strings for events": lambda: _filled(b'{"events":[', b'"",', b"NaN]}"),
    "keys beside the events": lambda: _filled(b"{", b'"a":1,', b'"events":[NaN]}'),
    "many keys beside the events": lambda: (
        b"{" + b"".join(b'"%d":1,' % n for n in range(1_500_000)) + b'"events":[{}]}'
    ),
    "the list a million times": lambda: _filled(b"{", b'"events":[],', b'"events":[{}]}'),
    "the name of the list a million times": lambda: _filled(b'{"events":[{"a":[', b'"events",', b"0]}]}"),
    "a long number": lambda: _filled(b'{"events":[{"event_name":"a","user_id":"u","schema_version":', b"9", b"}]}"),
    "a long fraction": lambda: _filled(b'{"events":[{"event_name":"a","user_id":"u","x":0.', b"3", b"}]}"),
    "a long exponent": lambda: _filled(b'{"events":[{"event_name":"a","user_id":"u","schema_version":1e', b"9", b"}]}"),
    "a long time": lambda: _filled(b'{"events":[{"event_name":"a","occurred_at":"2026-11-22T10:00:00.', b"9", b'Z"}]}'),
    "halves of pairs": lambda: _filled(b'{"events":[{"x":"', rb"\ud83d", b'"}]}'),
    "not utf-8": lambda: _filled(b'{"events":[{"x":"', b"\xff", b'"}]}'),
    "escapes in a key": lambda: _filled(b'{"events":[{"', rb"\u0061", b'":NaN}]}'),
    "a form": lambda: _filled(b"a=", b"&a=", b"1"),
}


_QUICK = ("spaces", "spaces behind a bad event", "empty events", "the list a million times")
_PARAMETERS = [name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow) for name in _BODIES]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, kafka: Stack, fuzzed_topic: str) -> Iterator[WatchedApi]:
    """An API with the limits as shipped."""
    folder = tmp_path_factory.mktemp("shipped")
    environment = {
        "TOPIC_PARTITIONS": "2",
        "TOPIC_MAX_MESSAGE_BYTES": "1000000",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
        "INGEST_KAFKA_TOPIC": fuzzed_topic,
        "INGEST_SOURCES_PATH": str(write_sources(folder / "sources.json")),
    }
    with ApiServer(folder, environment) as running:
        running.await_ready()
        yield WatchedApi(running)


class _Bystander:
    """Posts good events beside, and remembers the slowest answer and the most memory that the API took."""

    def __init__(self, api: WatchedApi) -> None:
        self._api, self._over = api, threading.Event()
        self._thread = threading.Thread(target=self._post)
        self.slowest, self.peak = 0.0, api.rss_bytes()
        self.statuses: set[int] = set()

    def __enter__(self) -> _Bystander:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _post(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            self.statuses.add(self._api.server.post({"events": [EVENT]}).status)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.peak = max(self.peak, self._api.rss_bytes())
            self._over.wait(0.02)


@pytest.mark.parametrize("name", _PARAMETERS)
@pytest.mark.parametrize("path", ["/v1/events", "/2/httpapi"])
def test_a_hostile_body_costs_little(shipped: WatchedApi, name: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Encoding": "gzip"}
    packed = gzip.compress(_BODIES[name](), 6)
    before, began = shipped.rss_bytes(), time.monotonic()
    with _Bystander(shipped) as bystander:
        answer = shipped.server.request("POST", path, packed, headers)
    took, grown = time.monotonic() - began, bystander.peak - before
    print(f"{path} {name}: {answer.status}, {took:.1f} s, others {bystander.slowest:.1f} s, {grown >> 20} MiB more")  # noqa: T201
    assert answer.status in {200, 400, 413}, answer.body[:500]
    assert len(answer.body) < _ANSWER_BYTES
    assert took < _SECONDS
    assert bystander.statuses == {200}
    assert bystander.slowest < _SECONDS
    assert grown < _GROWTH_BYTES
    shipped.assert_well()
