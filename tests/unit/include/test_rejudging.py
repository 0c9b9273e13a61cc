"""A failed row is rebuilt as its request had it, proved by its checksum, and judged with its own place in Kafka."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256
from typing import Any

import pytest

from include import failures
from include.failures import AROUND_BYTES, WHOLE_ENVELOPE, failed_rows, undecodable
from include.quality import Reason
from include.rejudging import FailedRow, judge, rebuild
from include.rows import EVENT_SCHEMA, Chunk
from include.staging import open_envelope
from include.topic import Record
from tests.unit.include.fakes import RECEIVED_AT, body_of, good_event, record_of

pytestmark = pytest.mark.usefixtures("gx")
WRONG = [Reason("in_set", "platform", "symbian")]
KNOWN = ("phone-app",)


def stored(row: dict[str, Any]) -> FailedRow:
    """Return a row as the warehouse gives it back."""
    place = f"{row['batch_id']}/{row['kafka_partition']}/{row['kafka_offset']}/{row['envelope_index']}"
    received = RECEIVED_AT.replace(tzinfo=None)
    lineage = (row["kafka_partition"], row["kafka_offset"], row["envelope_index"])
    return FailedRow(place, row["batch_id"], *lineage, received, row["raw"], row["raw_sha256"], row["envelope"])


def failed(record: Record, *indexes: int) -> list[FailedRow]:
    """Return the failed rows of some events of a record."""
    chunk = Chunk(3, "events-0000000007", [open_envelope(record)])
    return [stored(row) for row in failed_rows(chunk, chunk.table(), dict.fromkeys(indexes, WRONG))]


def test_an_event_comes_back_in_its_request_with_what_the_edge_knew() -> None:
    events = [good_event(event_id=str(number), app_version="1", network="5g") for number in range(3)]
    body = gzip.compress(body_of(*events, lot=7))
    record = record_of(body, event_count=3, country="DE", rejected={1: "too strict"})
    record = record._replace(headers=[(n, b"gzip" if n == "content_encoding" else v) for n, v in record.headers])
    (row,) = failed(record, 1)
    opened = open_envelope(rebuild(row))
    assert (opened.source_id, opened.received_at, opened.country) == ("phone-app", RECEIVED_AT, "DE")
    assert opened.events == open_envelope(record).events[1:2]
    assert opened.sent_at == open_envelope(record).sent_at
    assert json.loads(opened.extra[0]) == {"network": "5g", "$request": {"lot": 7}}
    assert opened.rejected == {}, "today's check of the edge finds nothing"
    assert "too strict" not in row.envelope


def test_what_the_edge_refuses_today_is_refused_again() -> None:
    (row,) = failed(record_of(body_of(good_event(device_id=None, user_id=None))), 0)
    assert open_envelope(rebuild(row)).rejected == {0: "device_id or user_id is needed"}
    assert judge([row], KNOWN).counts == {"still_failed": 1}


def test_valid_events_have_the_place_that_they_came_from() -> None:
    record = record_of(body_of(*(good_event(event_id=str(n)) for n in range(4))), offset=41, event_count=4)
    whole = stored(undecodable(record_of(body_of(good_event(event_id="w0"), good_event(event_id="w1")), offset=9), 5,
                               "events-0000000008", "no such dialect"))  # fmt: skip
    verdict = judge([*failed(record, 3, 1), whole], KNOWN)
    assert verdict.events.schema == EVENT_SCHEMA
    names = ("event_id", "batch_id", "kafka_partition", "kafka_offset", "envelope_index")
    assert [tuple(row.values()) for row in verdict.events.select(names).to_pylist()] == [
        ("1", "events-0000000007", 3, 41, 1), ("3", "events-0000000007", 3, 41, 3),
        ("w0", "events-0000000008", 5, 9, 0), ("w1", "events-0000000008", 5, 9, 1),
    ]  # fmt: skip
    assert (verdict.opened, verdict.counts) == ([whole], {})


def test_what_fails_in_an_envelope_that_can_be_opened_now_is_a_failed_row() -> None:
    body = body_of(good_event(event_id="good"), good_event(event_id="bad", platform="symbian"))
    whole = stored(undecodable(record_of(body, offset=9), 5, "events-0000000008", "no such dialect"))
    verdict = judge([whole], KNOWN)
    assert verdict.events["event_id"].to_pylist() == ["good"]
    (row,) = verdict.failed
    assert (row["event_id"], row["column_name"], row["envelope_index"]) == ("bad", "platform", 1)
    assert (row["batch_id"], row["kafka_partition"], row["kafka_offset"]) == ("events-0000000008", 5, 9)
    assert judge([stored(row)], KNOWN).counts == {"still_failed": 1}


def test_headers_that_are_not_utf_8_come_back_as_they_were() -> None:
    headers: list[tuple[str, bytes | None]] = [("user_agent", b"caf\xe9 \xff"), ("empty", None), ("good", "é".encode())]
    row = stored(undecodable(Record(9, 1_795_428_000_000, headers, b"\x00"), 2, "b", "no version"))
    again = rebuild(row)
    assert dict(again.headers) == {"user_agent": b"caf\xe9 \xff", "empty": b"", "good": "é".encode()}
    assert (again.value, again.offset) == (b"\x00", 9)
    assert judge([row], KNOWN).counts == {"still_failed": 1}


def test_long_bytes_are_decompressed_and_a_gzip_body_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "PLAIN_RAW_BYTES", 100)
    (row,) = failed(record_of(body_of(good_event())), 0)
    assert row.raw.startswith(b"\x1f\x8b")
    assert judge([row], KNOWN).events.num_rows == 1
    body = gzip.compress(body_of(good_event(event_properties={"x": "y"})))
    whole = stored(undecodable(record_of(body), 0, "b", "once"))
    assert judge([whole], KNOWN).events.num_rows == 1


@pytest.mark.parametrize(("changes", "reason"), [
    ({"raw": b"other"}, "does not have the checksum"),
    ({"raw": b"\x1f\x8b\x08junk"}, "cannot be decompressed"),
    ({"envelope": "{"}, "not what was written"),
    ({"envelope": '{"headers":[1],"around":7}'}, "not what was written"),
    ({"envelope": '{"headers":{},"around":{}}'}, "dialect"),
])  # fmt: skip
def test_a_damaged_row_is_counted_and_says_why(changes: dict[str, Any], reason: str) -> None:
    (row,) = failed(record_of(body_of(good_event())), 0)
    with pytest.raises(ValueError, match=reason):
        rebuild(row._replace(**changes))
    assert judge([row._replace(**changes), row], KNOWN).counts == {"damaged": 1}


def test_a_request_that_is_too_long_beside_its_events_is_not_kept() -> None:
    record = record_of(body_of(good_event(), lot="x" * AROUND_BYTES))
    (row,) = failed(record, 0)
    assert len(row.envelope) < 1_000
    with pytest.raises(ValueError, match="too long to be kept"):
        rebuild(row)


def test_bytes_that_are_no_json_stay_failed() -> None:
    raw = b'{"event_id":"x","event_properties":{"x":NaN}}'
    (row,) = failed(record_of(b'{"events":[' + raw + b"]}"), 0)
    assert (row.raw, row.raw_sha256) == (raw, sha256(raw).hexdigest())
    assert judge([row], KNOWN).counts == {"still_failed": 1}
    assert row.position != WHOLE_ENVELOPE
