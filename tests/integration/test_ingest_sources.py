"""The API follows what an operator does to its sources, within two seconds and without a restart."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.paths import API_PYTHON, ROOT
from local.stack import Stack
from tests.integration.ingest_server import EVENT, ApiServer

FOLLOWS_SECONDS = 2.0
GRACE_SECONDS = 3


class Operator:
    """Works on the sources file by the command alone, and by hand where a test breaks it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *arguments: str) -> str:
        command = [str(API_PYTHON), "-m", "ingest_api.sources", *arguments]
        environ = {"INGEST_SOURCES_PATH": str(self.path)}
        ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
        return ended.stdout.strip()

    def create(self, name: str) -> str:
        return self("create", name, "--name", name, "--platform", "server", "--quiet")


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "sources.json")


@pytest.fixture
def server(tmp_path: Path, kafka: Stack, ingest_topic: str, operator: Operator) -> Iterator[ApiServer]:
    """An API that starts without a sources file."""
    environment = {
        "TOPIC_PARTITIONS": "2",
        "TOPIC_MAX_MESSAGE_BYTES": "100000",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
        "INGEST_KAFKA_TOPIC": ingest_topic,
        "INGEST_SOURCES_PATH": str(operator.path),
        "INGEST_GRACE_SECONDS": str(GRACE_SECONDS),
    }
    with ApiServer(tmp_path, environment) as running:
        yield running


def _status(server: ApiServer, key: str) -> int:
    return server.post({"events": [EVENT]}, Authorization=f"Bearer {key}").status


def _becomes(server: ApiServer, key: str, wanted: int) -> None:
    """Fail unless the key has this answer soon after what the operator did."""
    deadline = time.monotonic() + FOLLOWS_SECONDS
    while (found := _status(server, key)) != wanted:
        assert time.monotonic() < deadline, f"still {found}, not {wanted}"
        time.sleep(0.05)


def _warnings(server: ApiServer) -> str:
    """Return the warnings of an API that is ready."""
    answer = server.get("/health/ready")
    assert answer.status == 200, answer.body
    return " ".join(answer.json["warnings"])


def _await_warning(server: ApiServer, text: str) -> None:
    deadline = time.monotonic() + FOLLOWS_SECONDS
    while text not in _warnings(server):
        assert time.monotonic() < deadline, f"the warnings are: {_warnings(server)}"
        time.sleep(0.05)


def test_a_key_lives_from_create_to_retire(server: ApiServer, operator: Operator) -> None:
    assert _status(server, "nobody") == 503
    first = operator.create("shop")
    _becomes(server, first, 200)
    server.await_ready()

    second = operator("rotate", "shop", "--quiet")
    _becomes(server, second, 200)
    assert _status(server, first) == 200

    operator("retire", "shop")
    _becomes(server, first, 401)
    assert _status(server, second) == 200

    operator("disable", "shop")
    _becomes(server, second, 403)
    operator("enable", "shop")
    _becomes(server, second, 200)
    assert not [key for key in (first, second) if key in server.log() + operator.path.read_text()]


def test_what_breaks_the_file_costs_no_other_source(server: ApiServer, operator: Operator) -> None:
    key, other = operator.create("shop"), operator.create("other")
    _becomes(server, key, 200)
    server.await_ready()
    whole = operator.path.read_text()

    # By hand and in place, as an editor may: one entry has a platform that there is none of.
    operator.path.write_text(whole.replace('"platform": "server"', '"platform": "tv"', 1))
    _becomes(server, key, 401)
    assert _status(server, other) == 200
    assert "source entry 0 is left out: `platform`" in _warnings(server)
    third = operator.create("third")
    _becomes(server, third, 200)

    operator.path.write_text(whole[: len(whole) // 2])
    _await_warning(server, "is not a list of sources")
    assert [_status(server, one) for one in (key, other, third)] == [401, 200, 200]

    operator.path.unlink()
    _await_warning(server, "cannot be read")
    assert [_status(server, one) for one in (key, other, third)] == [401, 200, 200]

    operator.path.write_text(whole)
    _becomes(server, key, 200)
    assert _warnings(server) == ""
    assert _status(server, third) == 401


def _from_an_sdk(server: ApiServer, key: str) -> tuple[int, str]:
    """Send what RudderStack's SDKs send; returns status and error."""
    named = base64.b64encode(f"{key}:".encode()).decode()
    body = b'{"batch": [{"type": "track", "event": "opened", "messageId": "m-1", "anonymousId": "d-1"}]}'
    answer = server.request("POST", "/v1/batch", body, {"Authorization": f"Basic {named}"})
    if answer.status == 503:
        assert int(answer.headers["retry-after"]) >= 1
    return answer.status, "" if answer.status == 200 else answer.json["error"]


def _await_answer(server: ApiServer, key: str, wanted: tuple[int, str], within: float) -> float:
    """Return after how many seconds an SDK has this answer."""
    began = time.monotonic()
    while (found := _from_an_sdk(server, key)) != wanted:
        assert time.monotonic() - began < within, f"still {found}, not {wanted}"
        time.sleep(0.05)
    return time.monotonic() - began


def test_an_sdk_is_told_to_wait_before_it_is_refused(server: ApiServer, operator: Operator) -> None:
    key = operator.create("shop")
    _await_answer(server, key, (200, ""), FOLLOWS_SECONDS)

    assert _from_an_sdk(server, "lost") == (503, "key_not_yet_known")
    operator("disable", "shop")
    _await_answer(server, key, (503, "source_on_hold"), FOLLOWS_SECONDS)
    waited = _await_answer(server, key, (403, "source_disabled"), GRACE_SECONDS + 1)
    assert waited > GRACE_SECONDS - 0.5
    assert _from_an_sdk(server, "lost") == (401, "unknown_key")

    # Nothing comes with its key while it is enabled: the period is whole again all the same.
    operator("enable", "shop")
    time.sleep(FOLLOWS_SECONDS)
    assert _from_an_sdk(server, "lost") == (401, "unknown_key")
    operator("disable", "shop")
    _await_answer(server, "lost", (401, "unknown_key"), 0.1)
    time.sleep(FOLLOWS_SECONDS)
    assert _from_an_sdk(server, key) == (503, "source_on_hold")
