"""Bodies that name something twice, of which every decoder takes the last: no event vanishes, and no key is stored."""

from __future__ import annotations

import pytest

from tests.integration.ingest_fixtures import Stored
from tests.integration.ingest_server import KEY, OFF_KEY, ApiServer


def _twice(first: bytes, second: bytes) -> bytes:
    return b'{"api_key":"%s","identification":%s,"identific\\u0061tion":%s}' % (KEY.encode(), first, second)


def _form(*names: str) -> bytes:
    return "&".join([f"api_key={KEY}", *(f"{name}={{}}" for name in names)]).encode()


@pytest.mark.parametrize("path", ["/identify", "/groupidentify"])
@pytest.mark.parametrize(
    "body",
    [
        _twice(b"{}", b"{}"),
        _twice(b"[{}]", b"{}"),
        _twice(b"{}", b"[{}]"),
        _twice(b"[{}]", b"[{}]"),
        _twice(b"{}", b"[{}]")[:-1] + b',"x":NaN}',
        _form("identification", "identification"),
        _form("identification", "%69dentification"),
    ],
)
def test_a_second_identification_is_refused(server: ApiServer, stored: Stored, path: str, body: bytes) -> None:
    answer = server.request("POST", path, body)
    assert (answer.status, answer.json["error"]) == (400, "invalid_body")
    assert stored(answer) == []


def test_one_identification_is_one_however_often_its_name_is_elsewhere(server: ApiServer) -> None:
    body = b'{"api_key":"%s","identification":{"user_id":"identification","identification":{}}}' % KEY.encode()
    assert server.request("POST", "/identify", body).json["events_ingested"] == 1
    assert server.request("POST", "/identify", _form("identification", "other")).json["events_ingested"] == 1


def test_no_key_is_stored_of_a_body_that_has_two(server: ApiServer, stored: Stored) -> None:
    body = rb'{"api_\u006bey":"%s","api_key":"%s","events":[{"event_type":"a","user_id":"u"}]}'
    (record,) = stored(server.request("POST", "/2/httpapi", body % (OFF_KEY.encode(), KEY.encode())))
    assert record.value == body % (b"***", b"***")


def test_no_key_of_another_source_is_stored_under_its_usual_name(server: ApiServer, stored: Stored) -> None:
    body = b'{"writeKey":"%s","batch":[{"type":"track","event":"a","userId":"u","writeKey":"%s"}]}'
    (record,) = stored(server.request("POST", "/v1/batch", body % (KEY.encode(), OFF_KEY.encode())))
    assert record.value == body % (b"***", b"***")
