"""Which pages may post, and what they may send."""

from __future__ import annotations

from ingest_api.cors import Cors
from tests.unit.ingest_api.scopes import scope

SHOP = "https://shop.example"
EXPOSED = {"access-control-expose-headers": "Retry-After, X-Request-Id"}


def test_without_a_page_there_is_nothing_to_say() -> None:
    assert Cors(["*"]).headers(scope()) == ()


def test_a_cache_may_hand_to_a_page_what_somebody_else_asked_for() -> None:
    assert dict(Cors(["*"]).headers(scope("GET"))) == {"access-control-allow-origin": "*"}
    assert dict(Cors([SHOP]).headers(scope("GET"))) == {"vary": "origin"}
    assert Cors([SHOP]).headers(scope("POST")) == ()


def test_every_page_or_those_named() -> None:
    assert dict(Cors(["*"]).headers(scope(origin=SHOP))) == {"access-control-allow-origin": "*", **EXPOSED}
    named = Cors([SHOP])
    assert dict(named.headers(scope(origin=SHOP))) == {
        "access-control-allow-origin": SHOP, "vary": "origin", **EXPOSED,
    }  # fmt: skip
    assert dict(named.headers(scope(origin="https://evil.example"))) == {"vary": "origin"}
    assert dict(Cors([]).headers(scope(origin=SHOP))) == {"vary": "origin"}


def test_what_a_page_may_send() -> None:
    asked = "content-type, Rsa-Track, x-evil, rsa-" + "a" * 41
    found = dict(Cors(["*"]).headers(scope("OPTIONS", origin=SHOP, access_control_request_headers=asked)))
    assert found["access-control-allow-headers"] == (
        "Authorization, Content-Type, Content-Encoding, AnonymousId, SentAt, X-Retry-Count, traceparent, tracestate, "
        "Rsa-Track"
    )
    assert found["access-control-allow-methods"] == "GET, POST"
    assert int(found["access-control-max-age"]) > 0


def test_preflights_of_a_page_that_may_not_say_nothing() -> None:
    assert dict(Cors([SHOP]).headers(scope("OPTIONS", origin="https://evil.example"))) == {"vary": "origin"}
