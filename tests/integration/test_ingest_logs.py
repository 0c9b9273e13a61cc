"""What the API logs of a request that somebody will ask about: bad events, unknown keys, sources that are off."""

from __future__ import annotations

import json
import secrets
from typing import Any

from include.contract.source import fingerprint, hash_key
from tests.integration.ingest_server import EVENT, OFF_KEY, Answer, ApiServer


def _line(server: ApiServer, answer: Answer) -> dict[str, Any]:
    lines = [json.loads(line) for line in server.log().splitlines() if answer.headers["x-request-id"] in line]
    (line,) = lines
    assert isinstance(line, dict)
    return line


def test_a_request_with_bad_events_has_one_line_without_what_they_hold(server: ApiServer) -> None:
    bad = [{**EVENT, "user_id": 4711}] * 3 + [{"event_name": "secret-name"}]
    answer = server.post({"events": [EVENT, *bad]})
    assert answer.status == 200
    line = _line(server, answer)
    assert (line["event"], line["level"], line["source_id"]) == ("quarantined", "info", "test-app")
    assert (line["events"], line["quarantined"]) == (5, 4)
    assert line["reasons"] == {"user_id: expected str | null, got int": 3, "device_id or user_id is needed": 1}
    assert "4711" not in json.dumps(line)
    assert "secret-name" not in json.dumps(line)


def test_a_good_request_has_no_line(server: ApiServer) -> None:
    assert server.post({"events": [EVENT]}).headers["x-request-id"] not in server.log()


def test_an_unknown_key_is_logged_by_the_digits_that_the_list_of_sources_shows(server: ApiServer) -> None:
    key = secrets.token_hex(16)
    line = _line(server, server.post({"events": [EVENT]}, Authorization=f"Bearer {key}"))
    assert (line["outcome"], line["key_sha256"]) == ("unknown_key", fingerprint(hash_key(key)))
    assert key not in server.log()


def test_a_source_that_is_off_is_named_in_log_and_metric(server: ApiServer) -> None:
    line = _line(server, server.post({"events": [EVENT]}, Authorization=f"Bearer {OFF_KEY}"))
    assert (line["outcome"], line["source_id"]) == ("source_disabled", "off-app")
    patient = {"api_key": OFF_KEY, "events": [{"event_type": "opened", "device_id": "d-1"}]}
    assert server.request("POST", "/2/httpapi", json.dumps(patient).encode()).status == 503
    metrics = server.get("/metrics").body.decode()
    assert 'ingest_requests_total{dialect="v1",outcome="source_disabled",source_id="off-app"}' in metrics
    assert 'ingest_requests_total{dialect="amplitude",outcome="source_on_hold",source_id="off-app"}' in metrics
