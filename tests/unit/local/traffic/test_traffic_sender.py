"""Sending over HTTP to a server the test holds: retries with the same bytes, ledger, exit codes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from local.traffic.__main__ import main
from local.traffic.model import ExpectedEvent, PlannedRequest
from local.traffic.sender import Outcome, Sender, Target
from local.traffic.tally import Tally

KEYS = {"phone-app": "key-p", "web-app": "key-w", "car-app": "key-c"}


@dataclass
class Api:
    """Answers with `script`, then 200; an answer of 0 cuts the connection."""

    script: list[int] = field(default_factory=list)
    retry_after: str | None = None
    received: list[tuple[str, str | None, bytes]] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    url: str = ""


def handler_of(state: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.received.append((self.headers["Authorization"], self.headers["Content-Encoding"], body))
            state.connections.add(self.client_address[1])
            status = state.script.pop(0) if state.script else 200
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.send_header("X-Request-Id", f"r{len(state.received)}")
            if state.retry_after and status != 200:
                self.send_header("Retry-After", state.retry_after)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Stay quiet."""

    return Handler


@pytest.fixture
def api() -> Iterator[Api]:
    state = Api()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(state))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.traffic.sender.FIRST_WAIT_SECONDS", 0.01)


def request(body: bytes = b'{"events":[]}') -> PlannedRequest:
    event = ExpectedEvent("web-app", "e-1", "valid", consented=True, defect=None)
    return PlannedRequest("web-app", body, datetime.now(UTC), is_retry=False, events=(event,))


def send(api: Api, *requests: PlannedRequest, give_up_seconds: float = 5, connections: int = 1) -> list[Outcome]:
    outcomes: list[Outcome] = []
    sender = Sender(Target(api.url, KEYS, give_up_seconds), connections, outcomes.append)
    sender.start()
    for one in requests:
        sender.submit(one)
    sender.finish()
    return outcomes


def test_one_connection_is_kept_and_the_key_is_the_sources(api: Api) -> None:
    outcomes = send(api, request(), request(b"\x1f\x8b..."), request())
    assert [outcome.acknowledged for outcome in outcomes] == [True] * 3
    assert len(api.connections) == 1
    assert [(key, encoding) for key, encoding, _ in api.received] == [
        ("Bearer key-w", None), ("Bearer key-w", "gzip"), ("Bearer key-w", None),
    ]  # fmt: skip


@pytest.mark.parametrize("failure", [0, 408, 429, 500, 503])
def test_what_may_succeed_later_is_sent_again_with_the_same_bytes(api: Api, failure: int) -> None:
    api.script = [failure, failure]
    (outcome,) = send(api, request())
    assert (outcome.status, outcome.attempts, outcome.request_id) == (200, 3, "r3")
    assert len({body for _, _, body in api.received}) == 1


def test_retry_after_is_respected(api: Api) -> None:
    api.script, api.retry_after = [503], "0.3"
    (outcome,) = send(api, request())
    assert outcome.seconds >= 0.3


@pytest.mark.parametrize("refusal", [400, 401, 413])
def test_a_refusal_for_good_is_not_repeated(api: Api, refusal: int) -> None:
    api.script = [refusal]
    (outcome,) = send(api, request())
    assert (outcome.acknowledged, outcome.status, outcome.attempts) == (False, refusal, 1)


def test_it_gives_up_in_the_end(api: Api) -> None:
    api.script = [503] * 1000
    (outcome,) = send(api, request(), give_up_seconds=0.2)
    assert (outcome.acknowledged, outcome.status) == (False, 503)
    assert outcome.seconds < 2


def test_cancel_ends_soon_and_reports_what_was_not_sent(api: Api) -> None:
    outcomes: list[Outcome] = []
    sender = Sender(Target(api.url, KEYS), 1, outcomes.append)
    sender.cancel()
    sender.start()
    sender.submit(request())
    sender.finish()
    tally = Tally()
    tally.add(outcomes[0])
    assert (outcomes[0].attempts, api.received, tally.all_acknowledged()) == (0, [], True)


def test_a_ledger_that_fails_ends_the_sending_and_is_raised(api: Api) -> None:
    def full(_outcome: Outcome) -> None:
        raise OSError("No space left on device")

    sender = Sender(Target(api.url, KEYS), 2, full)

    def submit_many() -> None:
        for _ in range(1_000):
            sender.submit(request())

    sender.start()
    with pytest.raises(OSError, match="No space left"):
        submit_many()
    with pytest.raises(OSError, match="No space left"):
        sender.finish()
    assert len(api.received) <= 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
@pytest.mark.usefixtures("_keys")
def test_a_full_disk_under_the_ledger_is_said(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", api.url, "--events", "5000", "--seed", "3", "--ledger", "/dev/full"]) == 1
    assert "the ledger cannot be written ([Errno 28]" in capsys.readouterr().out


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for source, key in KEYS.items():
        monkeypatch.setenv(f"LOCAL_WRITE_KEY_{source.upper().replace('-', '_')}", key)


@pytest.mark.usefixtures("_keys")
def test_the_ledger_holds_every_acknowledged_request(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.script = [503, 0]
    ledger = tmp_path / "sent" / "ledger.jsonl"
    arguments = ["--url", api.url, "--events", "500", "--seed", "3", "--ledger", str(ledger), "--connections", "2"]
    assert main(arguments) == 0
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    events = [event for line in lines if not line["is_retry"] for event in line["events"]]
    assert len({event["event_id"] for event in events}) == 500
    assert set(events[0]) == {"source_id", "event_id", "expected", "consented", "defect"}
    assert {key for key, _, _ in api.received} <= {f"Bearer {key}" for key in KEYS.values()}
    output = capsys.readouterr().out
    assert "acknowledged" in output
    assert "MISSING" not in output


@pytest.mark.usefixtures("_keys")
def test_what_was_never_acknowledged_is_said_and_fails(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.script = [401]
    assert main(["--url", api.url, "--events", "100", "--seed", "3"]) == 1
    assert "MISSING    1 requests were never acknowledged (last answer 401)" in capsys.readouterr().out


@pytest.mark.usefixtures("_keys")
def test_a_rate_spreads_the_requests_and_a_duration_ends_them(api: Api) -> None:
    assert main(["--url", api.url, "--rate", "500", "--duration", "1.5", "--seed", "3"]) == 0
    assert 2 < len(api.received) < 40


@pytest.mark.usefixtures("_keys")
def test_a_person_who_waits_hears_why(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("local.traffic.__main__.PROGRESS_SECONDS", 0.05)
    api.script, api.retry_after = [503], "0.3"
    assert main(["--url", api.url, "--events", "60", "--seed", "3"]) == 0
    assert "last problem: answer 503" in capsys.readouterr().out


def test_keys_come_from_the_file_of_the_stack(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("LOCAL_WRITE_KEY_PHONE_APP", "LOCAL_WRITE_KEY_WEB_APP", "LOCAL_WRITE_KEY_CAR_APP", "LOCAL_URL_INGEST"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "endpoints.env"
    file.write_text(
        "# comment\nLOCAL_WRITE_KEY_PHONE_APP='k 1'\nLOCAL_WRITE_KEY_WEB_APP=k2\nLOCAL_WRITE_KEY_CAR_APP=k3\n"
        f"LOCAL_URL_INGEST={api.url}\n"
    )
    assert main(["--env-file", str(file), "--events", "60", "--seed", "3"]) == 0
    assert {key for key, _, _ in api.received} <= {"Bearer k 1", "Bearer k2", "Bearer k3"}
    with pytest.raises(SystemExit, match="2"):
        main(["--env-file", str(file), "--keys-from-env", "--events", "60"])
    assert "LOCAL_WRITE_KEY_PHONE_APP" in capsys.readouterr().err
