"""Events and reasons too large for one record, and what a refused request costs: neighbours and rates stay whole."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from include.contract.dialects import reader
from include.contract.envelope import Envelope
from include.contract.verdict import failures
from local.ports import free_ports
from tests.integration.ingest_fixtures import LIMITS, Stored
from tests.integration.ingest_server import EVENT, KEY, Answer, ApiServer, Record

BEARER = {"Authorization": f"Bearer {KEY}"}
HUGE = secrets.token_hex(120_000)
"""Packs to half: more than the largest record of the test's topic."""
CALL = {"type": "track", "event": "opened", "userId": "u-1", "messageId": "m-1"}


def _post(server: ApiServer, path: str, body: Any) -> Answer:
    return server.request("POST", path, gzip.compress(json.dumps(body).encode()), BEARER)


def _envelope(record: Record) -> Envelope:
    return Envelope.parse([(name, text.encode()) for name, text in record.headers.items()], record.value)


def _validated(server: ApiServer, query: str, body: Any) -> list[int]:
    answer = _post(server, f"/v1/events:validate{query}", body)
    assert answer.status == 200, answer.body
    return [one["index"] for one in answer.json["failed"]]


REQUESTS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "v1": ("/v1/events", "events", {**EVENT, "platform": "ios"}),
    "amplitude": ("/batch", "events", {"event_type": "opened", "user_id": "u", "insert_id": "e-1", "platform": "iOS"}),
    "segment": ("/v1/batch", "batch", {**CALL, "context": {"device": {"type": "ios"}}}),
}


@pytest.mark.parametrize("dialect", REQUESTS)
def test_an_event_larger_than_a_record_costs_only_itself(server: ApiServer, stored: Stored, dialect: str) -> None:
    path, events_key, event = REQUESTS[dialect]
    events = [dict(event) for _ in range(4)]
    events[2]["x"] = HUGE
    answer = _post(server, path, {events_key: events})
    assert answer.status == 200, answer.body
    if dialect == "v1":
        (bad,) = answer.json["quarantined"]
        assert (bad["index"], bad["event_id"], answer.json["accepted"]) == (2, "e-1", 3)
        assert "larger than" in bad["reason"]
    found = []
    for record in sorted(stored(answer), key=lambda one: one.headers["part"]):
        envelope, body = _envelope(record), gzip.decompress(record.value)
        found += [(one, index in envelope.rejected) for index, one in enumerate(json.loads(body)[events_key])]
    assert [is_bad for _, is_bad in found] == [False, False, True, False]
    assert [one for one, is_bad in found if not is_bad] == [event] * 3
    raw, kept = json.dumps(events[2]).encode(), found[2][0]
    cut = kept.pop("$cut")
    assert (cut["bytes"], cut["sha256"]) == (len(raw), sha256(raw).hexdigest())
    assert raw.startswith(cut["begins"].encode())
    assert len(cut["begins"]) > 32 * 1024
    assert kept.items() <= event.items()
    assert _validated(server, f"?dialect={dialect}", {events_key: events}) == [2]


@pytest.mark.parametrize("call", ["track", "identify"])
def test_a_single_call_larger_than_a_record_is_a_failed_event(server: ApiServer, stored: Stored, call: str) -> None:
    answer = _post(server, f"/v1/{call}", {**CALL, "channel": "web", "properties": {"x": HUGE}})
    assert answer.status == 200, answer.body
    (record,) = stored(answer)
    envelope, body = _envelope(record), gzip.decompress(record.value)
    parsed = reader(envelope.dialect, envelope.call).parse(body, envelope)
    assert parsed.events[0].event_id == "m-1"
    assert any(reason.startswith("edge: ") for reason in failures(parsed, 0, envelope.rejected, envelope.received_at))
    # Nor may a later look take what was cut for the event.
    assert [one.partition(":")[0] for one in failures(parsed, 0, {}, envelope.received_at)] == ["json_kibibytes"]


@pytest.mark.parametrize("beside", [HUGE[:130_000], HUGE[:100_000] + "x" * 90_000])
def test_what_is_too_large_beside_the_events_is_named(server: ApiServer, stored: Stored, beside: str) -> None:
    answer = _post(server, "/v1/events", {"beside": beside, "events": [{**EVENT, "x": HUGE[:60_000]}] * 3})
    assert (answer.status, answer.json["error"]) == (413, "record_too_large")
    assert "beside the events" in answer.json["message"]
    assert stored(answer) == []


# 100 events at most in this server; each has a reason of some 40 bytes


def test_reasons_need_no_more_room_than_they_take(server: ApiServer, stored: Stored) -> None:
    events: list[dict[str, Any]] = [{"event_name": 5, "x": secrets.token_hex(700)} for _ in range(100)]
    answer = server.post(gzip.compress(json.dumps({"events": events}).encode()))
    assert answer.status == 200, answer.body
    assert len(answer.json["quarantined"]) == 100
    records = stored(answer)
    marked = sum(len(_envelope(record).rejected) for record in records)
    assert (len(records), marked) == (1, 100)


# What is not stored


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API without Kafka or spool, whose source may send little."""
    folder: Path = tmp_path_factory.mktemp("cut-off")
    limits = {"events_per_second": 5, "device_events_per_second": 5}
    entry = {"id": "test-app", "name": "Test", "write_key_sha256": [hashlib.sha256(KEY.encode()).hexdigest()]}
    (folder / "sources.json").write_text(json.dumps({"sources": [{**entry, "limits": limits}]}))
    environment = {
        **LIMITS,
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_ports(['nobody'])['nobody']}",
        "INGEST_SOURCES_PATH": str(folder / "sources.json"),
        "INGEST_ACK_TIMEOUT_MS": "300",
    }
    with ApiServer(folder, environment) as server:
        yield server


@pytest.mark.parametrize("path", ["/v1/events", "/2/httpapi", "/v1/batch"])
def test_what_was_not_stored_uses_up_no_rate(cut_off: ApiServer, path: str) -> None:
    _, events_key, event = REQUESTS[{"/v1/events": "v1", "/2/httpapi": "amplitude"}.get(path, "segment")]
    answers = [_post(cut_off, path, {events_key: [event] * 100}) for _ in range(3)]
    assert [one.json["error"] for one in answers] == ["not_acknowledged"] * 3
