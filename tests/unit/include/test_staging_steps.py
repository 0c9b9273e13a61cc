"""Staging without Kafka or Azure: opening envelopes, poison records, the quality document, waiting for the interval."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from isal import igzip

from include import plans, quality, staging
from include.contract.envelope import Envelope
from include.failures import WHOLE_ENVELOPE
from include.plans import Plan
from include.staging import _decode
from include.topic import Record
from tests.unit.include.fakes import RECEIVED_AT, SETTINGS, body_of, good_event, record_of

BODY = body_of(good_event(event_id="a"), good_event(event_id="b"))


@pytest.mark.parametrize(
    "value", [BODY, gzip.compress(BODY), igzip.compress(BODY, 1), gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])]
)
def test_an_envelope_is_opened_however_the_client_compressed_it(value: bytes) -> None:
    chunk, poison = _decode([record_of(value, event_count=2)], 3, "b")
    assert poison == []
    (opened,) = chunk.envelopes
    assert [event.event_id for event in opened.events] == ["a", "b"]
    assert (opened.source_id, opened.received_at, opened.body) == ("phone-app", RECEIVED_AT, BODY)


GOOD = record_of(BODY, event_count=2)
POISON = {
    "no headers": Record(5, 0, [], BODY),
    "no value": Record(5, 0, GOOD.headers, b""),
    "another version": Record(5, 0, [("envelope_version", b"2"), *GOOD.headers[1:]], BODY),
    "header that is not utf-8": Record(5, 0, [*GOOD.headers, ("x", b"\xff")], BODY),
    "time without an offset": Record(
        5, 0, [(n, b"2026-01-01T00:00:00" if n == "received_at" else v) for n, v in GOOD.headers], BODY
    ),
    "time outside the calendar": Record(
        5, 0, [(n, b"0001-01-01T00:00:00+10:00" if n == "received_at" else v) for n, v in GOOD.headers], BODY
    ),
    "gzip cut off": Record(5, 0, GOOD.headers, gzip.compress(BODY)[:-9]),
    "gzip and garbage": Record(5, 0, GOOD.headers, gzip.compress(BODY) + b"junk"),
    "no JSON": Record(5, 0, GOOD.headers, b"junk"),
    "no events": Record(5, 0, GOOD.headers, b'{"event":[]}'),
    "rejected outside": Record(5, 0, [*GOOD.headers, ("rejected", b'{"7":"no"}')], BODY),
}


@pytest.mark.parametrize("record", POISON.values(), ids=POISON.keys())
def test_a_record_that_cannot_be_opened_is_a_row_and_its_neighbours_flow(record: Record) -> None:
    chunk, poison = _decode([GOOD, record, GOOD], 3, "b")
    assert len(chunk.envelopes) == 2
    (row,) = poison
    assert row["raw"] == record.value
    assert (row["kafka_offset"], row["envelope_index"]) == (5, WHOLE_ENVELOPE)
    assert row["expectation"] == "envelope_can_be_opened"


def test_a_bomb_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MAX_INFLATED_BYTES", 10_000)
    bomb = record_of(gzip.compress(b'{"events":[' + b" " * 100_000 + b"]}"))
    chunk, (row,) = _decode([bomb], 3, "b")
    assert chunk.envelopes == []
    assert "inflates to more than" in row["value"]


def test_what_the_edge_rejected_comes_with_its_index() -> None:
    envelope = record_of(BODY, event_count=2, rejected={1: "no name"})
    chunk, _ = _decode([envelope], 3, "b")
    assert chunk.envelopes[0].rejected == {1: "no name"}


def test_a_count_that_promises_more_than_there_is_does_not_reach_beyond_the_events() -> None:
    envelope = record_of(BODY, event_count=5, rejected={4: "not there", 0: "bad"})
    chunk, _ = _decode([envelope], 3, "b")
    assert chunk.envelopes[0].rejected == {0: "bad"}


def test_envelopes_round_trip_through_record_headers() -> None:
    record = record_of(BODY, event_count=2, rejected={1: "é"})
    assert Envelope.parse(record.headers, record.value).rejected == {1: "é"}
    assert record.announced == 2


START = datetime(2026, 11, 23, 10, tzinfo=UTC)
PLAN = Plan(7, "events", "i", "c", START, START + timedelta(minutes=5), final=True, ranges=())


def test_planning_waits_for_the_end_of_the_interval_and_the_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(plans, "plan_interval", lambda *_: [PLAN])
    now = datetime.now(UTC)
    lake: Any = None
    assert staging.plan_events(lake, {}, SETTINGS, (now - timedelta(minutes=1), now + timedelta(seconds=5))) == [7]
    staging.plan_events(lake, {}, SETTINGS, (now - timedelta(days=2), now - timedelta(days=1)))
    assert 5 + SETTINGS.plan_grace_seconds - 1 < slept[0] <= 5 + SETTINGS.plan_grace_seconds
    assert slept[1] == 0


def test_the_suite_is_made_once_per_process() -> None:
    assert quality.suite.cache_info().maxsize == 4
