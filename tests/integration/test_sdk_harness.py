"""The harness of the real SDKs: against a recording server it sees their ids, their values and what they believe."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import psutil
import pytest

from tests.sdks import clients, stub
from tests.sdks.clients import Sdk

_COUNT = 60


def _by_name(sdk: Sdk) -> str:
    return sdk.name


every_sdk = pytest.mark.parametrize("sdk", clients.here(), ids=_by_name)


@every_sdk
def test_what_is_answered_200_is_believed_and_went_out_once(sdk: Sdk) -> None:
    with stub.RecordingStub() as server:
        delivery = clients.run(sdk, server.url, "the-key", _COUNT, prefix="ok")
    wanted = {call.id for call in delivery.calls}
    assert len(wanted) > _COUNT
    assert delivery.sent == delivery.delivered == wanted
    assert (delivery.failed, delivery.undecided(), delivery.foreign) == ({}, set(), [])
    items = [item for request in server.posts() for item in _items(request)]
    assert Counter(_id(item) for item in items) == Counter(wanted)
    known = {call.id: call for call in delivery.calls}
    for item in items:
        call = known[_id(item)]
        assert item.get("user_id", item.get("userId")) == call.user_id
        assert item.get("device_id", item.get("anonymousId")) == call.device_id
        if call.kind == "track":
            assert item.get("event_type", item.get("event")) == call.name
            assert item.get("event_properties", item.get("properties")) == call.properties


@every_sdk
@pytest.mark.parametrize("status", [400, 500])
def test_what_is_refused_for_ever_is_not_believed_and_the_driver_leaves(sdk: Sdk, status: int) -> None:
    with stub.RecordingStub(stub.refuse(status)) as server:
        began = time.monotonic()
        delivery = clients.run(sdk, server.url, "the-key", 3, prefix="no", patience_seconds=1.5)
        assert time.monotonic() - began < 15
    assert server.posts()
    assert delivery.sent == {call.id for call in delivery.calls}
    assert delivery.delivered == set()
    assert delivery.undecided() | set(delivery.failed) == delivery.sent


@pytest.mark.parametrize("name", ["segment-python", "segment-node", "amplitude-node"])
def test_background_driver_sends_steadily_over_a_refusal_in_the_middle(name: str) -> None:
    with stub.RecordingStub() as server:
        running = clients.start(clients.BY_NAME[name], server.url, "the-key", 40, prefix="mid", per_second=20)
        while not running.delivery.delivered:
            time.sleep(0.02)
        server.policy = stub.refuse(503)
        refused_from = len(server.requests)
        while len(server.requests) == refused_from:
            time.sleep(0.02)
        assert len(running.delivery.sent) < len(running.delivery.calls)
        server.policy = stub.accept
        delivery = running.wait()
    assert delivery.delivered == {call.id for call in delivery.calls}


@every_sdk
def test_stopped_driver_leaves_nothing_running(sdk: Sdk) -> None:
    with stub.RecordingStub() as server:
        running = clients.start(sdk, server.url, "the-key", 1000, prefix="end", per_second=50)
        while not running.delivery.delivered:
            time.sleep(0.02)
        started = psutil.Process(running.pid).children(recursive=True)
        running.stop()
        _, alive = psutil.wait_procs(started, timeout=5)
    assert alive == []
    assert bool(started) == (sdk.name == "amplitude-browser")
    assert running.delivery.delivered < {call.id for call in running.delivery.calls}


def test_driver_that_fails_says_why() -> None:
    sdk = Sdk("broken", "", "segment", ("queued_python", "no.such.package"))
    with pytest.raises(RuntimeError, match=r"driver of broken ended with status 1[\s\S]*No module named 'no'"):
        clients.run(sdk, "http://127.0.0.1:9", "the-key", 1, prefix="x")


def test_only_the_browser_depends_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    left_out = {sdk.name for sdk in clients.SDKS_UNDER_TEST} - {sdk.name for sdk in clients.here()}
    assert left_out == {"amplitude-browser"}


def _items(request: stub.Request) -> list[dict[str, Any]]:
    body = json.loads(request.text())
    items: list[dict[str, Any]] = body.get("events") or body["batch"]
    return items


def _id(item: dict[str, Any]) -> str:
    return str(item.get("insert_id") or item["messageId"])
