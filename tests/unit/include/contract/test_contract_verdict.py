"""What `:validate` says of a bad event: the value, and what to do; one reason where the event cannot be decoded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from include.contract import edge, verdict
from include.contract.event import parse

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD: dict[str, Any] = {"event_name": "opened", "device_id": "d", "platform": "ios", "occurred_at": NOW.isoformat()}


def _reasons(body: bytes) -> list[list[str]]:
    parsed, checked = parse(body), edge.check(body)
    return [verdict.failures(parsed, index, checked.rejected, NOW) for index in range(len(parsed.events))]


def _of(**changes: Any) -> list[str]:
    event = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return _reasons(json.dumps({"events": [event]}).encode())[0]


def test_a_good_event_has_no_reason() -> None:
    assert _of() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"platform": "iOS"}, 'platform: "iOS" is not one of ios, android, web, car, server'),
        (
            {"platform": None},
            "platform: is not set; send one of ios, android, web, car, server, or give the source a platform",
        ),
        (
            {"schema_version": 3},
            "schema_version: 3 is not one of 1, 2; leave it out where the event has no schema of its own",
        ),
        (
            {"occurred_at": "2026-11-26T12:00:00Z"},
            "occurred_ahead_minutes: the event happens 4,320 minutes after its arrival, at most 1,440; send sent_at",
        ),
        ({"consent": []}, "edge: consent: expected object | null, got array"),
        (
            {"event_properties": {"text": "x" * 40_000}},
            "json_kibibytes: consent, properties and unknown keys have 39 KiB together, at most 31; send less with ",
        ),
    ],
)
def test_a_reason_has_the_value_and_the_remedy(changes: dict[str, Any], reason: str) -> None:
    assert any(found.startswith(reason) for found in _of(**changes))


def test_a_long_value_is_cut() -> None:
    (reason,) = _of(event_name="<" + "x" * 200)
    assert reason.startswith('event_name: "<' + "x" * 99 + '…" is no name; ')


def test_what_cannot_be_decoded_has_one_reason() -> None:
    body = b'{"events": [{"event_name": "a", "n": NaN}, {"event_name": 7, "platform": "iOS"}]}'
    first, second = _reasons(body)
    assert first == ["decode: not valid JSON: invalid character (byte 25)"]
    assert second == ["decode: event_name: expected str, got int"]


def test_every_gate_has_a_sentence_whose_places_it_can_fill() -> None:
    for gate in verdict._gates():
        sentence = gate.sentence("value", "problem")
        assert sentence.startswith(f"{gate.kwargs['column']}: ")
        assert "{value}" not in sentence
        assert sentence != f"{gate.kwargs['column']}: {gate.meta['notes']}"


def test_the_sentence_of_a_missing_platform_names_the_platforms() -> None:
    by_type = {gate.type: gate for gate in verdict._gates() if gate.kwargs["column"] == "platform"}
    known = by_type["expect_column_values_to_be_in_set"].kwargs["value_set"]
    assert ", ".join(known) in by_type["expect_column_values_to_not_be_null"].meta["failure"]
