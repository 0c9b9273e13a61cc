"""Failed events as rows: every reason, the client's own bytes, and whole envelopes that cannot be opened."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256

import pyarrow as pa

from include.failures import FAILED_SCHEMA, WHOLE_ENVELOPE, failed_rows, undecodable
from include.quality import Reason
from include.rows import Chunk
from include.staging import open_envelope
from include.topic import Record
from tests.unit.include.fakes import body_of, chunk_of, columns_of, good_event, record_of

PLATFORM = Reason("in_set", "platform", "symbian")
NAME = Reason("matches", "event_name", "1st")


def test_a_failed_event_keeps_its_bytes_all_reasons_and_its_place() -> None:
    raw = b'{ "event_id" : "x", "event_name":"1st" }'
    chunk = chunk_of(b'{"events":[{"event_id":"good"},' + raw + b"]}")
    (row,) = failed_rows(chunk, chunk.table(), {1: [NAME, PLATFORM]})
    assert row["raw"] == raw
    assert row["raw_sha256"] == sha256(raw).hexdigest()
    assert (row["expectation"], row["column_name"], row["value"]) == ("matches", "event_name", "1st")
    assert [reason["column"] for reason in json.loads(row["reasons"])] == ["event_name", "platform"]
    assert (row["event_id"], row["kafka_partition"], row["kafka_offset"], row["envelope_index"]) == ("x", 3, 100, 1)
    assert pa.Table.from_pylist([row], schema=FAILED_SCHEMA).num_rows == 1


def test_a_name_that_is_too_long_for_its_column_is_clipped_and_whole_in_raw() -> None:
    chunk = chunk_of(body_of(good_event(event_name="n" * 300)))
    (row,) = failed_rows(chunk, chunk.table(), {0: [NAME]})
    assert len(row["event_name"]) == 255
    assert b"n" * 300 in row["raw"]


def test_rows_come_in_row_order() -> None:
    chunk = chunk_of(body_of(*(good_event(event_id=str(number)) for number in range(4))))
    rows = failed_rows(chunk, chunk.table(), {3: [NAME], 0: [PLATFORM]})
    assert [row["event_id"] for row in rows] == ["0", "3"]


def test_a_record_that_is_no_envelope_is_one_row_with_all_its_bytes() -> None:
    record = Record(9, 1_795_428_000_123, [("source_id", b"web-app"), ("odd", b"\xff"), ("none", None)], b"\x00junk")
    row = undecodable(record, 2, "events-0000000007", "no version")
    assert row["raw"] == b"\x00junk"
    assert row["event_id"] == row["raw_sha256"] == sha256(b"\x00junk").hexdigest()
    assert (row["source_id"], row["envelope_index"], row["value"]) == ("web-app", WHOLE_ENVELOPE, "no version")
    assert row["received_at"] == datetime(2026, 11, 23, 10, 0, 0, 123_000, tzinfo=UTC)
    stored = pa.Table.from_pylist([row], schema=FAILED_SCHEMA)["received_at"].to_pylist()
    assert stored == [datetime(2026, 11, 23, 10, 0, 0, 123_000)]  # noqa: DTZ001 - TIMESTAMP_NTZ, UTC


def test_a_failed_event_keeps_what_its_request_said_beside_the_events() -> None:
    record = record_of(body_of(good_event(), good_event(), lot=7), event_count=2, country="DE", rejected={1: "x" * 99})
    chunk = Chunk(3, "b", [open_envelope(record)])
    rows = failed_rows(chunk, chunk.table(), {0: [NAME], 1: [NAME]})
    kept = json.loads(rows[0]["envelope"])
    assert kept["around"] == {"sent_at": "2026-11-23T09:59:59Z", "lot": 7}
    known = {name: (value or b"").decode() for name, value in record.headers if name != "rejected"}
    assert kept["headers"] == known
    assert known.keys() >= {"dialect", "received_at", "request_id", "country", "content_encoding"}
    assert rows[1]["envelope"] == rows[0]["envelope"]
    assert str(rows[0]["occurred_on"]) == "2026-11-23"


def test_an_event_without_a_time_has_no_date_here() -> None:
    chunk = chunk_of(body_of(good_event(occurred_at=None)))
    (row,) = failed_rows(chunk, chunk.table(), {0: [NAME]})
    assert row["occurred_on"] is None


def test_a_long_problem_fits_its_column() -> None:
    row = undecodable(record_of(b"junk"), 0, "b", "x" * 1_000)
    assert len(row["value"]) == 255


def test_the_landing_table_has_the_columns_of_the_files() -> None:
    assert columns_of("FAILED_TEMPLATE") == FAILED_SCHEMA.names
