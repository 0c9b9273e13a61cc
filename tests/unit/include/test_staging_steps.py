"""Staging without Kafka or Azure: opening envelopes, poison records, the quality document, waiting for the interval."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pytest
from isal import igzip

from include import plans, quality, staging
from include.blobs import ParquetFile
from include.contract.envelope import Envelope
from include.failures import WHOLE_ENVELOPE
from include.lake import Lake
from include.manifest import Part
from include.plans import PartitionRange, Plan
from include.rows import Chunk
from include.staging import Stage, open_envelope
from include.topic import Record
from tests.unit.include.fakes import RECEIVED_AT, SETTINGS, body_of, good_event, record_of

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
PLAN = Plan(7, "events", "i", "c", START, START + timedelta(minutes=5), final=True, ranges=())
BODY = body_of(good_event(event_id="a"), good_event(event_id="b"))


class FilesInMemory(Lake):
    """A lake whose Parquet files are lists of rows."""

    def __init__(self) -> None:
        self.files: dict[str, RowsInMemory] = {}

    def parquet(self, name: str) -> ParquetFile:
        return self.files.setdefault(name.partition("/")[0], RowsInMemory())

    def rows(self, kind: str) -> list[dict[str, Any]]:
        return self.files[kind].kept


class RowsInMemory(ParquetFile):
    """One of them."""

    def __init__(self) -> None:
        self.rows, self.kept = 0, []

    kept: list[dict[str, Any]]

    def write(self, table: pa.Table) -> None:
        self.rows += len(table)
        self.kept += table.to_pylist()

    def close(self, kind: str, partition: int, occurred_on: tuple[str, ...] = ()) -> None:
        return None


def staged(*records: Record) -> tuple[Stage, FilesInMemory]:
    lake = FilesInMemory()
    stage = Stage(lake, PLAN, PartitionRange(3, 0, 9), Part(3, 0, 9), ["phone-app"])
    for record in records:
        stage.add(record)
    stage.close()
    return stage, lake


@pytest.mark.parametrize(
    "value", [BODY, gzip.compress(BODY), igzip.compress(BODY, 1), gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])]
)
def test_an_envelope_is_opened_however_the_client_compressed_it(value: bytes) -> None:
    opened = open_envelope(record_of(value, event_count=2))
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
@pytest.mark.usefixtures("gx")
def test_a_record_that_cannot_be_opened_is_a_row_and_its_neighbours_flow(record: Record) -> None:
    stage, lake = staged(GOOD, record, GOOD)
    assert stage.part.rows == 4
    (row,) = lake.rows("failed")
    assert row["raw"] == record.value
    assert (row["kafka_offset"], row["envelope_index"]) == (5, WHOLE_ENVELOPE)
    assert row["expectation"] == "envelope_can_be_opened"
    part = stage.part
    assert part.announced == part.rows + part.failed + part.unopened


@pytest.mark.usefixtures("gx")
def test_a_call_that_cannot_be_decoded_is_a_failed_event_with_its_own_bytes() -> None:
    body = b'{"event":"opened","userId":"u","properties":{"x":NaN}}'
    call = record_of(body, call="track")
    headers = [(name, b"segment" if name == "dialect" else raw) for name, raw in call.headers]
    stage, lake = staged(GOOD, call._replace(headers=headers))
    (row,) = lake.rows("failed")
    assert (row["raw"], row["envelope_index"], row["column_name"]) == (body, 0, "decode")
    assert (stage.part.rows, stage.part.failed, stage.part.unopened) == (2, 1, 0)


@pytest.mark.usefixtures("gx")
def test_an_envelope_on_which_the_code_stumbles_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Chunk.table

    def stumble(chunk: Chunk) -> pa.Table:
        if any(envelope.offset == 5 for envelope in chunk.envelopes):
            raise pa.ArrowInvalid("nobody thought of this")
        return table(chunk)

    monkeypatch.setattr(Chunk, "table", stumble)
    stage, lake = staged(*(GOOD._replace(offset=offset) for offset in range(9)))
    assert {row["kafka_offset"] for row in lake.rows("events")} == set(range(9)) - {5}
    (row,) = lake.rows("failed")
    assert (row["kafka_offset"], row["value"]) == (5, "ArrowInvalid: nobody thought of this")
    assert (stage.part.rows, stage.part.failed, stage.part.unopened) == (16, 1, 1)


@pytest.mark.usefixtures("gx")
def test_raw_bytes_above_what_a_column_takes_are_kept_compressed() -> None:
    event = good_event(event_properties={"x": "y" * 9_000_000})
    _, lake = staged(record_of(gzip.compress(body_of(event)), event_count=1))
    (row,) = lake.rows("failed")
    raw = gzip.decompress(row["raw"])
    assert json.loads(raw) == event
    assert row["raw_sha256"] == sha256(raw).hexdigest()
    assert row["column_name"] == "json_kibibytes"


def test_a_bomb_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MAX_INFLATED_BYTES", 10_000)
    bomb = record_of(gzip.compress(b'{"events":[' + b" " * 100_000 + b"]}"))
    with pytest.raises(ValueError, match="inflates to more than"):
        open_envelope(bomb)


def test_a_chunk_is_as_large_as_what_its_envelopes_inflate_to() -> None:
    stage = Stage(FilesInMemory(), PLAN, PartitionRange(3, 0, 9), Part(3, 0, 9), ["phone-app"])
    stage.add(record_of(gzip.compress(body_of(good_event(event_properties={"x": "y" * 1_000_000}))), event_count=1))
    assert stage.bytes_held > 1_000_000
    assert stage.events_held == 1


def test_what_the_edge_rejected_comes_with_its_index() -> None:
    assert open_envelope(record_of(BODY, event_count=2, rejected={1: "no name"})).rejected == {1: "no name"}


def test_a_count_that_promises_more_than_there_is_does_not_reach_beyond_the_events() -> None:
    envelope = record_of(BODY, event_count=5, rejected={4: "not there", 0: "bad"})
    assert open_envelope(envelope).rejected == {0: "bad"}


def test_envelopes_round_trip_through_record_headers() -> None:
    record = record_of(BODY, event_count=2, rejected={1: "é"})
    assert Envelope.parse(record.headers, record.value).rejected == {1: "é"}
    assert record.announced == 2


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
