"""Bodies that no decoder takes, against a real API: what is bad costs itself alone, and little of anybody's time."""

from __future__ import annotations

import gzip
import time

import pytest

from include.contract.dialects import reader
from include.contract.envelope import Envelope
from include.contract.event import Parsed
from include.contract.nesting import MAX_DEPTH
from tests.integration.ingest_clients import basic
from tests.integration.ingest_fixtures import Stored
from tests.integration.ingest_server import KEY, ApiServer, Record

BEARER = {"Authorization": f"Bearer {KEY}"}
OWN = b'{"event_name":"a","device_id":"d","platform":"ios","event_properties":%s}'
AMPLITUDE = b'{"event_type":"a","device_id":"d","platform":"ios","event_properties":%s}'
MANY = b'{"items":[' + b",".join([b'{"p":{"v":1}}'] * 700) + b"]}"
DENSE = b",".join([b"[" * 20 + b"]" * 20] * 2_300)


def _parsed(record: Record) -> Parsed:
    envelope = Envelope.parse([(name, text.encode()) for name, text in record.headers.items()], record.value)
    body = gzip.decompress(record.value) if envelope.content_encoding == "gzip" else record.value
    return reader(envelope.dialect, envelope.call).parse(body, envelope)


def _deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize("bad", [rb'{"title":"cut \ud83d"}', b'{"n":01}'])
@pytest.mark.parametrize("path", ["/v1/events", "/v1/events:validate", "/2/httpapi"])
def test_a_bad_event_costs_none_of_its_many_neighbours(
    server: ApiServer, stored: Stored, path: str, bad: bytes
) -> None:
    one = AMPLITUDE if path == "/2/httpapi" else OWN
    body = b'{"events":[' + b",".join([one % MANY] * 99 + [one % bad]) + b"]}"
    answer = server.request("POST", path, gzip.compress(body), BEARER)
    assert answer.status == 200
    if path == "/v1/events:validate":
        assert (answer.json["valid"], [one["index"] for one in answer.json["failed"]]) == (99, [99])
        return
    (record,) = stored(answer)
    assert (len(_parsed(record).events), list(_parsed(record).problems)) == (100, [99])


@pytest.mark.parametrize("path", ["/2/httpapi", "/identify", "/v1/batch", "/v1/track"])
def test_who_has_no_valid_key_costs_next_to_nothing(server: ApiServer, path: str) -> None:
    body = gzip.compress(b'{"api_key":"nope","writeKey":"nope","x":NaN,"events":[' + DENSE + b"]}")
    began = time.monotonic()
    answers = [server.request("POST", path, body) for _ in range(100)]
    assert {answer.json["error"] for answer in answers} == {"key_not_yet_known"}
    assert time.monotonic() - began < 4


def test_how_deep_an_event_may_be_nested(server: ApiServer, stored: Stored) -> None:
    body = b'{"events":[' + b",".join([OWN % b"{}", OWN % _deep(MAX_DEPTH - 1), OWN % _deep(MAX_DEPTH + 200)]) + b"]}"
    answer = server.request("POST", "/v1/events", body, BEARER)
    assert answer.json == {
        "accepted": 2,
        "quarantined": [{"index": 2, "event_id": None, "reason": "nested too deep"}],
    }
    (record,) = stored(answer)
    assert _parsed(record).problems == {}
    foreseen = server.request("POST", "/v1/events:validate", body, BEARER).json
    assert [one["index"] for one in foreseen["failed"]] == [2]


@pytest.mark.parametrize("beside", [rb'"half \ud83d"', b"NaN", b"[" * 950 + b"]" * 950, b"[" * 9_000 + b"]" * 9_000])
@pytest.mark.parametrize(
    ("path", "one", "listed"),
    [
        ("/v1/events", OWN, "events"),
        ("/2/httpapi", AMPLITUDE, "events"),
        ("/v1/batch", b'{"type":"page","userId":"u","p":%s}', "batch"),
    ],
)
def test_what_is_bad_beside_the_events_costs_none_of_them(
    server: ApiServer, stored: Stored, path: str, one: bytes, listed: str, beside: bytes
) -> None:
    body = b'{"lot":%s,"%s":[%s]}' % (beside, listed.encode(), one % b"{}")
    answer = server.request("POST", path, body, {"Authorization": basic(KEY)})
    assert answer.status == 200
    (record,) = stored(answer)
    parsed = _parsed(record)
    assert (len(parsed.events), parsed.problems) == (1, {})
    assert b'"$request"' in parsed.extra[0]


def test_a_byte_order_mark_and_zeros_behind_the_gzip_stream_are_passed_over(server: ApiServer, stored: Stored) -> None:
    body = b'{"events":[' + OWN % b"{}" + b"]}"
    for sent in (b"\xef\xbb\xbf" + body, gzip.compress(body) + bytes(100), gzip.compress(b"\xef\xbb\xbf" + body)):
        answer = server.request("POST", "/v1/events", sent, BEARER)
        assert answer.json == {"accepted": 1, "quarantined": []}
        (record,) = stored(answer)
        assert _parsed(record).problems == {}
