"""The vendors' own SDKs, unmodified, into EVENTS: ids and mapped columns, also when the API fails in the middle.

All SDKs run at once against one API process; then the drain and the load run once over everything they sent.
"""

from __future__ import annotations

import hashlib
import json
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.ingest_server import ApiServer
from tests.integration.pipeline import Pipeline
from tests.sdks import clients
from tests.sdks.calls import Call
from tests.sdks.clients import Delivery, Sdk

pytestmark = pytest.mark.filterwarnings("ignore:module .sre_\\w+. is deprecated:DeprecationWarning")
KEY = "sdk-key-" + uuid.uuid4().hex
SOURCE = "phone-app"
COLUMNS = (
    "EVENT_ID", "EVENT_NAME", "USER_ID", "DEVICE_ID", "SESSION_ID", "OCCURRED_AT", "PLATFORM", "APP_VERSION", "OS_NAME",
    "OS_VERSION", "DEVICE_MODEL", "LOCALE", "COUNTRY", "LIBRARY_NAME", "EVENT_PROPERTIES", "USER_PROPERTIES", "EXTRA",
)  # fmt: skip
_JSON = {"EVENT_PROPERTIES", "USER_PROPERTIES", "EXTRA"}
_LIBRARY = {
    "amplitude-python": "amplitude-python", "amplitude-node": "amplitude-node-ts", "amplitude-browser": "amplitude-ts",
    "segment-python": "analytics-python", "segment-node": "@segment/analytics-node",
    "rudder-python": "analytics-python", "rudder-node": "analytics-node",
}  # fmt: skip


class Api:
    """An API process whose sources a test may change, in front of a pipeline's topic."""

    def __init__(self, pipe: Pipeline, folder: Path) -> None:
        self._sources = folder / "sources.json"
        self.write_source()
        environment = {
            "TOPIC_PARTITIONS": "4",
            "INGEST_KAFKA_BOOTSTRAP_SERVERS": str(pipe.kafka["bootstrap.servers"]),
            "INGEST_KAFKA_TOPIC": pipe.topic,
            "INGEST_SOURCES_PATH": str(self._sources),
            "INGEST_SPOOL_DIR": str(folder / "spool"),
        }
        self.server = ApiServer(folder, environment)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def write_source(self, **changes: Any) -> None:
        """Write the source anew; the API sees it within a second."""
        entry = {"id": SOURCE, "name": "Shop", "platform": "server", **changes}
        entry["write_key_sha256"] = [hashlib.sha256(KEY.encode()).hexdigest()]
        fresh = self._sources.with_suffix(".new")
        fresh.write_text(json.dumps({"sources": [entry]}))
        fresh.replace(self._sources)

    def kill(self) -> None:
        """Kill the process as a crash would, and start it again where it was."""
        self.signal(signal.SIGKILL)
        self.server.process.wait()
        time.sleep(0.3)
        self.server.__enter__()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its worker."""
        process = psutil.Process(self.server.process.pid)
        for one in (process, *process.children(recursive=True)):
            one.send_signal(number)


@pytest.fixture
def api(pipe: Pipeline, tmp_path: Path) -> Iterator[Api]:
    made = Api(pipe, tmp_path)
    with made.server:
        made.server.await_ready()
        yield made


@contextmanager
def _started(api: Api, count: int, per_second: float, patience_seconds: float) -> Iterator[list[clients.Running]]:
    running = [
        clients.start(sdk, api.url, KEY, count, prefix=f"{sdk.name}-{uuid.uuid4().hex[:8]}", per_second=per_second,
                      patience_seconds=patience_seconds)
        for sdk in clients.here()
    ]  # fmt: skip
    try:
        yield running
    finally:
        for one in running:
            one.stop()


def _rows(pipe: Pipeline) -> list[dict[str, Any]]:
    pipe.stage()
    pipe.load()
    found = [dict(zip(COLUMNS, row, strict=True)) for row in pipe.rows(f"SELECT {', '.join(COLUMNS)} FROM CORE.EVENTS")]  # noqa: S608
    return [
        {name: json.loads(text) if name in _JSON and text is not None else text for name, text in row.items()}
        for row in found
    ]


def _each_once(pipe: Pipeline, deliveries: Sequence[Delivery]) -> dict[str, dict[str, Any]]:
    """Return the rows by id; every id that an SDK believes delivered is there once."""
    rows = _rows(pipe)
    by_id = {row["EVENT_ID"]: row for row in rows}
    assert len(by_id) == len(rows)
    for delivery in deliveries:
        assert delivery.delivered - set(by_id) == set(), delivery.sdk.name
        assert delivery.foreign == []
    made = {call.id for delivery in deliveries for call in delivery.calls}
    assert set(by_id) - made == set()
    assert pipe.failed("EVENT_ID", "REASONS") == []
    return by_id


# What a call becomes


def _expected(sdk: Sdk, call: Call) -> dict[str, Any]:
    common = {
        "EVENT_ID": call.id,
        "USER_ID": call.user_id,
        "OCCURRED_AT": (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=call.time_ms)).replace(tzinfo=None),
        "LIBRARY_NAME": _LIBRARY[sdk.name],
    }
    if call.device_id is not None:
        common["DEVICE_ID"] = call.device_id
    return {**common, **(_amplitude(sdk, call) if sdk.dialect == "amplitude" else _segment(call))}


def _amplitude(sdk: Sdk, call: Call) -> dict[str, Any]:
    names = {"identify": "$identify", "set_group": "$identify", "group_identify": "$groupidentify"}
    own_platform = "web" if sdk.name == "amplitude-browser" else "server"
    found: dict[str, Any] = {"EVENT_NAME": names.get(call.kind, call.name), "PLATFORM": own_platform}
    if call.context:
        found |= {
            "PLATFORM": "android", "APP_VERSION": "4.12.0", "OS_NAME": "Android", "OS_VERSION": "15",
            "DEVICE_MODEL": "Pixel 9", "LOCALE": "German", "COUNTRY": "DE", "SESSION_ID": "1795393290000",
        }  # fmt: skip
    if call.kind == "track":
        found["EVENT_PROPERTIES"] = call.properties
    elif call.kind == "identify":
        found["USER_PROPERTIES"] = call.operations
    return found


def _segment(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {"EVENT_NAME": call.name if call.kind == "track" else call.kind}
    if call.context:
        found |= {
            "PLATFORM": "android", "APP_VERSION": "4.12.0", "OS_NAME": "Android", "OS_VERSION": "15",
            "DEVICE_MODEL": "Pixel 9", "LOCALE": "de-DE",
        }  # fmt: skip
    else:
        found["PLATFORM"] = "server"
    if call.kind == "track":
        found["EVENT_PROPERTIES"] = call.properties
    elif call.kind == "identify":
        found["USER_PROPERTIES"] = call.properties
    return found


def _extra(call: Call, dialect: str) -> dict[str, Any]:
    """Return what no column takes and must be kept all the same."""
    if dialect == "amplitude":
        groups = {call.group_type: call.group_id}
        of_groups: dict[str, dict[str, Any]] = {
            "set_group": {"groups": groups},
            "group_identify": {"groups": groups, "group_properties": call.operations},
        }
        return of_groups.get(call.kind, {})
    of_calls: dict[str, dict[str, Any]] = {
        "group": {"groupId": call.group_id, "traits": call.properties},
        "page": {"name": call.name, "category": call.category},
        "screen": {"name": call.name, "category": call.category},
        "alias": {"previousId": call.previous_id},
    }
    return of_calls.get(call.kind, {})


def _require_columns(deliveries: Sequence[Delivery], by_id: dict[str, dict[str, Any]]) -> None:
    for delivery in deliveries:
        for call in delivery.calls:
            if (row := by_id.get(call.id)) is None:
                continue
            wanted = _expected(delivery.sdk, call)
            assert {name: row[name] for name in wanted} == wanted, delivery.sdk.name
            kept = _extra(call, delivery.sdk.dialect)
            assert {name: (row["EXTRA"] or {}).get(name) for name in kept} == kept, delivery.sdk.name


def test_every_call_arrives_once_with_its_columns(api: Api, pipe: Pipeline) -> None:
    with _started(api, count=30, per_second=0, patience_seconds=20) as running:
        deliveries = [one.wait() for one in running]
    for delivery in deliveries:
        assert delivery.delivered == delivery.sent == {call.id for call in delivery.calls}, delivery.sdk.name
        assert delivery.failed == {}
    by_id = _each_once(pipe, deliveries)
    assert set(by_id) == {call.id for delivery in deliveries for call in delivery.calls}
    _require_columns(deliveries, by_id)


# The API fails in the middle


def _killed(api: Api) -> None:
    for _ in range(3):
        time.sleep(2)
        api.kill()


def _on_hold(api: Api) -> None:
    time.sleep(2)
    api.write_source(enabled=False)
    time.sleep(5)
    api.write_source()


def _frozen(api: Api) -> None:
    time.sleep(2)
    api.signal(signal.SIGSTOP)
    time.sleep(12)
    api.signal(signal.SIGCONT)


def _limited(api: Api) -> None:
    time.sleep(2)
    api.write_source(limits={"events_per_second": 5})
    time.sleep(6)
    api.write_source()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(_killed, id="killed"),
        pytest.param(_on_hold, id="503", marks=pytest.mark.slow),
        pytest.param(_limited, id="429", marks=pytest.mark.slow),
        pytest.param(_frozen, id="timeout", marks=pytest.mark.slow),
    ],
)
def test_what_an_sdk_believes_delivered_is_there_once(api: Api, pipe: Pipeline, fault: Callable[[Api], None]) -> None:
    with _started(api, count=200, per_second=25, patience_seconds=60) as running:
        fault(api)
        deliveries = [one.wait() for one in running]
    assert all(delivery.delivered for delivery in deliveries)
    by_id = _each_once(pipe, deliveries)
    _require_columns(deliveries, by_id)
