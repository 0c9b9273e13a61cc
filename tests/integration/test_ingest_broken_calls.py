"""A single call that no decoder takes is one stored event that fails later; and keys and lists in odd spellings."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from include.contract.dialects import reader
from include.contract.envelope import Envelope
from include.contract.event import Parsed
from tests.integration.ingest_clients import basic
from tests.integration.ingest_fixtures import Stored
from tests.integration.ingest_server import EVENT, KEY, ApiServer, Record

BASIC = {"Authorization": basic(KEY)}
BAD = [rb'"\ud83d"', b"NaN", b'"\0"', b"[" * 5_000 + b"]" * 5_000]
ODD_KEY = rb"\u0074est\u002Dkey-1"


def _parsed(record: Record) -> Parsed:
    envelope = Envelope.parse([(name, text.encode()) for name, text in record.headers.items()], record.value)
    return reader(envelope.dialect, envelope.call).parse(record.value, envelope)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("call", ["track", "identify", "page", "screen", "group", "alias"])
def test_a_broken_call_is_stored_as_one_event(server: ApiServer, stored: Stored, call: str, bad: bytes) -> None:
    body = b'{"userId":"u-1","properties":{"x":%s}}' % bad
    answer = server.request("POST", f"/v1/{call}", body, BASIC)
    assert (answer.status, answer.json) == (200, {"success": True})
    (record,) = stored(answer)
    assert (record.value, record.key, record.headers["event_count"]) == (body, b"u-1", "1")
    assert list(_parsed(record).problems) == [0]


@pytest.mark.parametrize("bad", BAD)
def test_the_key_in_a_broken_call_is_found_and_not_stored(server: ApiServer, stored: Stored, bad: bytes) -> None:
    body = b'{"writeKey":"%s","channel":"web","event":%s}' % (ODD_KEY, bad)
    answer = server.request("POST", "/v1/track", body)
    assert (answer.status, answer.json) == (200, "OK")
    (record,) = stored(answer)
    assert record.value == body.replace(ODD_KEY, b"***")


@pytest.mark.parametrize("bad", [*BAD, b'"\xff"'])
@pytest.mark.parametrize("form", ["json", "form", "raw form"])
def test_a_broken_identify_is_stored_as_one_event(server: ApiServer, stored: Stored, form: str, bad: bytes) -> None:
    one = b'{"user_id":"u-1","x":%s}' % bad
    body = b'{"identification":%s,"api_key":"%s"}' % (one, KEY.encode())
    if form != "json":
        packed = one.replace(b"+", b"%2B") if form == "raw form" else quote_from_bytes(one).encode()
        body = b"api_key=%s&identification=%s" % (KEY.encode(), packed)
    answer = server.request("POST", "/identify", body)
    assert (answer.status, answer.json["events_ingested"]) == (200, 1)
    (record,) = stored(answer)
    assert one in record.value
    parsed = _parsed(record)
    assert len(parsed.events) == 1
    assert bad == b'"\xff"' or list(parsed.problems) == [0]


@pytest.mark.parametrize("body", [b"garbage", b'{"a":1', b'{"a":1}}', b'{"a":1},{"b":2}', b"[NaN]", b'{"a":"b}', b""])
def test_what_is_no_call_is_refused(server: ApiServer, body: bytes) -> None:
    answer = server.request("POST", "/v1/track", body, BASIC)
    assert (answer.status, answer.json["error"]) == (400, "invalid_body")


@pytest.mark.parametrize("second", [b'"events"', rb'"\u0065vents"'])
@pytest.mark.parametrize("event", [json.dumps(EVENT).encode(), b'{"event_name":NaN}'])
def test_two_lists_of_events_are_refused_however_they_are_written(
    server: ApiServer, second: bytes, event: bytes
) -> None:
    body = b'{"events":[%s],%s:[%s]}' % (json.dumps(EVENT).encode(), second, event)
    answer = server.post(body)
    assert (answer.status, answer.json["error"]) == (400, "invalid_body")
    assert "twice" in answer.json["message"]
    keyed = b'{"api_key":"%s",%s' % (KEY.encode(), body[1:])
    assert server.request("POST", "/2/httpapi", keyed).status == 400


@pytest.mark.parametrize("spelled", [KEY.encode(), ODD_KEY])
def test_a_key_in_a_body_of_our_own_dialect_is_not_stored(server: ApiServer, stored: Stored, spelled: bytes) -> None:
    body = b'{"write_key":"%s","events":[%s]}' % (spelled, json.dumps(EVENT).encode())
    answer = server.post(body)
    assert answer.json == {"accepted": 1, "quarantined": []}
    (record,) = stored(answer)
    assert record.value == body.replace(spelled, b"***")


@pytest.mark.parametrize("keys", [(KEY.encode(), ODD_KEY), (ODD_KEY, KEY.encode())])
@pytest.mark.parametrize("headers", [{}, BASIC])
def test_a_key_that_is_there_twice_is_not_stored(
    server: ApiServer, stored: Stored, keys: tuple[bytes, bytes], headers: dict[str, Any]
) -> None:
    body = b'{"writeKey":"%s","batch":[{"type":"track","event":"a","userId":"u"}],"writeKey":"%s"}' % keys
    answer = server.request("POST", "/v1/batch", body, headers)
    assert answer.status == 200
    (record,) = stored(answer)
    assert record.value == body.replace(KEY.encode(), b"***").replace(ODD_KEY, b"***")
