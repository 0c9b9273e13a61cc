"""What `:validate` remarks beside its verdict: all of it is taken, and hardly meant."""

from __future__ import annotations

import json
from typing import Any

from include.contract.event import parse
from include.contract.extra import request_fields
from include.contract.remarks import remarks

EVENT = {"event_name": "opened", "occurred_at": "2026-11-22T10:00:00Z", "consent": {"analytics": True}}


def _said(*events: dict[str, Any], **around: Any) -> list[str]:
    body = json.dumps({**around, "events": events or [EVENT]}).encode()
    return list(remarks(parse(body), request_fields(body, "events"), "sent_at"))


def test_nothing_is_said_of_what_is_as_it_should_be() -> None:
    assert _said() == []
    assert _said(sent_at="2026-11-22T10:00:00Z", batch="small") == []
    assert _said(sent_at=None) == []


def test_a_time_of_sending_that_cannot_be_read() -> None:
    (said,) = _said(sent_at="yesterday")
    assert said == (
        'sent_at: "yesterday" is no time (RFC 3339 with offset); clocks are not corrected, and EXTRA keeps it'
    )


def test_what_is_too_much_beside_the_events() -> None:
    (said,) = _said(debug="x" * 5_000)
    assert said == "beside the events are 5,012 bytes; above 4,096 they are dropped and counted"


def test_events_without_time_and_consent_are_counted() -> None:
    assert _said(EVENT, {"event_name": "opened"}, {"event_name": 7}) == [
        "occurred_at: missing in 1 of 2 events that can be read; their time is that of their arrival",
        "consent: missing in 1 of 2 events that can be read; they reach no vendor",
    ]


def test_consent_that_is_neither_true_nor_false_is_counted() -> None:
    given: list[Any] = [{"analytics": "true"}, {"analytics": 1}, {"analytics": False}, {}, {"a": True, "b": None}]
    (said,) = _said(*({**EVENT, "consent": one} for one in given))
    assert said.startswith("consent: neither true nor false in 3 of 5 events; only the JSON value true is consent")


def test_keys_that_are_spelled_like_known_ones_are_named() -> None:
    odd = {**EVENT, "eventProperties": {}, "User-Id": "u", "shoe_size": 44}
    assert _said(odd, EVENT, {**EVENT, "eventProperties": 1}, deviceId="beside") == [
        "eventProperties: no known field, kept in EXTRA of 2 events; did you mean event_properties?",
        "User-Id: no known field, kept in EXTRA of 1 events; did you mean user_id?",
    ]


def test_one_id_on_two_different_events_is_named() -> None:
    same, other = {**EVENT, "event_id": "x"}, {**EVENT, "event_id": "x", "event_name": "closed"}
    assert _said(same, EVENT, same) == [], "sent twice is what retries do"
    assert _said(EVENT, same, EVENT, other, same) == [
        "event_id: events 1 and 3 have the same id and are not the same event; only one of them is kept"
    ]
