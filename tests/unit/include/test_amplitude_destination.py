"""The Amplitude client against a server of the test's own: 200, 400 with indexes, 429, 5xx, time-outs, the export."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.destinations import amplitude
from include.destinations.amplitude import Amplitude
from include.errors import SetupError, TransientError

Answer = tuple[int, Any]


class Server(ThreadingHTTPServer):
    """Answers from a list and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.posts: list[dict[str, Any]] = []
        self.gets: list[tuple[str, str | None]] = []
        self.hang = threading.Event()
        self.hang.set()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.posts.append({"path": self.path, **body})
        self._answer()

    def do_GET(self) -> None:
        self.server.gets.append((self.path, self.headers["authorization"]))
        self._answer()

    def _answer(self) -> None:
        self.server.hang.wait(10)
        status, body = self.server.answers.pop(0)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.hang.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Amplitude]:
    monkeypatch.setattr(amplitude, "THROTTLE_PAUSE_S", 0.0)
    made = Amplitude(server.url + "/", "api-key", "secret-key", attempts=3)
    yield made
    made._session.close()


def events(count: int) -> list[dict[str, Any]]:
    return [{"insert_id": f"phone-app:{number}", "device_id": "d" * 64, "event_type": "tap"} for number in range(count)]


OK: Answer = (200, {"code": 200})


def test_what_is_taken_is_named(server: Server, client: Amplitude) -> None:
    server.answers = [OK]
    assert client.push(events(2)).taken == ("phone-app:0", "phone-app:1")
    assert server.posts[0]["path"] == "/batch"
    assert server.posts[0]["api_key"] == "api-key"
    assert "secret-key" not in json.dumps(server.posts)


@pytest.mark.parametrize("named", [
    {"events_with_invalid_fields": {"time": [1]}}, {"events_with_missing_fields": {"event_type": [1]}},
    {"events_with_invalid_id_lengths": {"device_id": [1]}}, {"silenced_events": [1]},
])  # fmt: skip
def test_a_400_that_names_events_refuses_them_and_posts_the_others_again(
    server: Server, client: Amplitude, named: dict[str, Any]
) -> None:
    server.answers = [(400, {"code": 400, "error": "Invalid", **named}), OK]
    answer = client.push(events(3))
    assert answer.taken == ("phone-app:0", "phone-app:2")
    assert [insert_id for insert_id, _ in answer.refused] == ["phone-app:1"]
    assert [len(post["events"]) for post in server.posts] == [3, 2]


def test_a_400_that_names_all_events_leaves_nothing_to_post(server: Server, client: Amplitude) -> None:
    server.answers = [(400, {"events_with_invalid_fields": {"time": [0, 1]}})]
    answer = client.push(events(2))
    assert (answer.taken, len(answer.refused)) == ((), 2)
    assert len(server.posts) == 1


@pytest.mark.parametrize("body", [{"error": "Invalid API key"}, b"<html>no JSON</html>"])
def test_a_400_that_names_no_event_is_a_matter_of_set_up(server: Server, client: Amplitude, body: Any) -> None:
    server.answers = [(400, body)]
    with pytest.raises(SetupError, match="refused the batch"):
        client.push(events(1))


def test_a_429_pauses_and_posts_the_same_ids_again(
    server: Server, client: Amplitude, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    server.answers = [(429, {"code": 429}), OK]
    assert client.push(events(1)).taken == ("phone-app:0",)
    assert pauses == [amplitude.THROTTLE_PAUSE_S]
    assert server.posts[0] == server.posts[1]


def test_the_pause_after_429_is_what_amplitude_asks_for() -> None:
    assert amplitude.THROTTLE_PAUSE_S >= 15


def test_throttled_for_ever_is_transient(server: Server, client: Amplitude) -> None:
    server.answers = [(429, {})] * 3
    with pytest.raises(TransientError, match="did not take 1 events in 3 attempts"):
        client.push(events(1))


@pytest.mark.parametrize(("status", "ours"), [
    (500, TransientError), (502, TransientError), (503, TransientError), (504, TransientError),
    (401, SetupError), (403, SetupError), (413, SetupError),
])  # fmt: skip
def test_other_answers_say_who_acts(server: Server, client: Amplitude, status: int, ours: type[Exception]) -> None:
    server.answers = [(status, {"error": "no"})]
    with pytest.raises(ours, match=f"answered {status}"):
        client.push(events(1))


def test_no_answer_in_time_is_transient(server: Server, client: Amplitude, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amplitude, "TIMEOUT_S", 0.2)
    server.hang.clear()
    server.answers = [OK]
    with pytest.raises(TransientError, match="ReadTimeout"):
        client.push(events(1))


def test_nobody_listening_is_transient_and_names_no_key() -> None:
    gone = Amplitude("http://127.0.0.1:9", "api-key", "secret-key")
    with pytest.raises(TransientError, match="ConnectionError") as caught:
        gone.push(events(1))
    assert "key" not in str(caught.value)
    with pytest.raises(TransientError):
        list(gone.exported(datetime(2026, 11, 23, 10, tzinfo=UTC), datetime(2026, 11, 23, 11, tzinfo=UTC)))


def archive(*parts: list[dict[str, Any]]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as opened:
        for number, lines in enumerate(parts):
            opened.writestr(f"{number}.json.gz", gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    return whole.getvalue()


def test_the_export_yields_insert_ids_of_all_its_parts(server: Server, client: Amplitude) -> None:
    server.answers = [(200, archive([{"$insert_id": "a"}, {"event_type": "no id"}], [{"$insert_id": "b"}]))]
    start = datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert list(client.exported(start, datetime(2026, 11, 23, 13, tzinfo=UTC))) == ["a", "b"]
    path, authorization = server.gets[0]
    assert path == "/api/2/export?start=20261123T10&end=20261123T12", "the last hour is included"
    assert authorization is not None
    assert authorization.startswith("Basic ")


def test_an_export_without_data_is_empty(server: Server, client: Amplitude) -> None:
    server.answers = [(404, {"error": "Raw data files were not found."})]
    moment = datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert list(client.exported(moment, moment)) == []


def test_an_export_that_is_cut_off_is_transient(server: Server, client: Amplitude) -> None:
    server.answers = [(200, archive([{"$insert_id": "a"}])[:-30])]
    moment = datetime(2026, 11, 23, 10, tzinfo=UTC)
    with pytest.raises(TransientError):
        list(client.exported(moment, moment))
