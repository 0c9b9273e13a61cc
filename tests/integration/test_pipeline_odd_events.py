"""Odd and bad input through stage and load: duplicates, missing fields, unknown keys, poison, unparsable JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import pyarrow.compute as pc
import pytest

from include.failures import WHOLE_ENVELOPE
from include.rows import Chunk
from tests.integration.pipeline import Pipeline, Request, event, request

pytestmark = pytest.mark.usefixtures("gx")


def test_duplicates_are_removed_inside_a_request_across_partitions_and_across_batches(pipe: Pipeline) -> None:
    first = event("twice", event_properties={"n": 1})
    again = {**first, "event_properties": {"n": 2}}
    pipe.produce(request(first, again, event("once")), request(again, partition=2))
    pipe.stage()
    assert pipe.load()["rows_inserted"] == 2
    pipe.produce(request(again, event("new"), partition=1))
    pipe.stage()
    assert pipe.load()["rows_inserted"] == 1
    rows = pipe.rows(
        "SELECT EVENT_ID, EVENT_PROPERTIES:n::NUMBER, KAFKA_PARTITION, ENVELOPE_INDEX FROM CORE.EVENTS ORDER BY 1"
    )
    assert rows[2] == ("twice", 1, 0, 0), "the lowest (partition, offset, index) wins"
    assert [row[0] for row in rows] == ["new", "once", "twice"]


def test_a_duplicate_that_comes_ninety_days_later_is_found(pipe: Pipeline) -> None:
    old = (datetime.now(UTC) - timedelta(days=90)).isoformat()
    pipe.produce(request(event("old", occurred_at=old), event("young")))
    pipe.stage()
    assert pipe.load()["rows_inserted"] == 2
    pipe.produce(request(event("old", occurred_at=old), partition=3))
    pipe.stage()
    assert pipe.load()["rows_inserted"] == 0
    assert pipe.event_ids() == ["old", "young"]


def test_two_batches_of_one_load_with_the_same_event_give_one_row(pipe: Pipeline) -> None:
    pipe.produce(request(event("e", occurred_at="2026-11-20T10:00:00Z")))
    pipe.stage()
    pipe.produce(request(event("e", occurred_at="2026-11-20T10:00:00Z"), partition=1))
    pipe.stage()
    totals = pipe.load()
    assert (totals["batches"], totals["rows_staged"], totals["rows_inserted"]) == (2, 2, 1)
    assert [row[0] for row in pipe.rows("SELECT ROWS_INSERTED FROM CONTROL.LOADS ORDER BY SEQUENCE")] == [1, 0]


def test_an_event_without_an_id_is_one_row_however_often_it_is_sent(pipe: Pipeline) -> None:
    raw = json.dumps(event(None)).encode()
    pipe.produce(request(raw), request(raw, partition=1), request(raw, source_id="web-app"))
    pipe.stage()
    pipe.load()
    found = {(str(row[0]), str(row[1])) for row in pipe.rows("SELECT SOURCE_ID, EVENT_ID FROM CORE.EVENTS")}
    assert found == {
        (source, sha256(source.encode() + b"\0" + raw).hexdigest()) for source in ("phone-app", "web-app")
    }  # fmt: skip


def test_events_without_a_time_share_a_bucket_and_are_still_deduplicated(pipe: Pipeline) -> None:
    pipe.produce(
        request(event("timeless", occurred_at=None)), request(event("timeless", occurred_at=None), partition=1)
    )
    pipe.stage()
    pipe.load()
    pipe.produce(request(event("timeless", occurred_at=None)))
    pipe.stage()
    pipe.load()
    rows = pipe.rows("SELECT EVENT_ID, OCCURRED_ON, OCCURRED_AT, CORRECTED_AT FROM CORE.EVENTS")
    assert rows == [("timeless", date(1970, 1, 1), None, None)]


def test_unknown_keys_of_event_and_request_arrive_in_extra(pipe: Pipeline) -> None:
    pipe.produce(request(event("e", network="5g", nested={"a": [1, {"b": None}]}), batch_number=7, tags=["x"]))
    pipe.stage()
    pipe.load()
    ((network, deep, whole),) = pipe.rows(
        "SELECT EXTRA:network::VARCHAR, EXTRA:nested:a[0]::NUMBER, EXTRA FROM CORE.EVENTS"
    )
    assert (network, deep) == ("5g", 1)
    assert json.loads(whole) == {
        "network": "5g", "nested": {"a": [1, {"b": None}]}, "$request": {"batch_number": 7, "tags": ["x"]},
    }  # fmt: skip


def test_times_arrive_to_the_microsecond_and_corrected(pipe: Pipeline) -> None:
    received = datetime(2026, 11, 23, 8, 30, 0, 123_456, tzinfo=UTC)
    pipe.produce(request(event("e", occurred_at="2026-11-23T11:00:00.000001+02:00"), received_at=received,
                         sent_at="2026-11-23T09:30:00.123456Z"))  # fmt: skip
    pipe.stage()
    pipe.load()
    ((occurred, sent, arrived, corrected, on),) = pipe.rows(
        "SELECT OCCURRED_AT, SENT_AT, RECEIVED_AT, CORRECTED_AT, OCCURRED_ON FROM CORE.EVENTS"
    )
    found = [moment.replace(tzinfo=UTC) for moment in (occurred, sent, arrived, corrected)]
    assert found == [
        datetime(2026, 11, 23, 9, 0, 0, 1, UTC),
        datetime(2026, 11, 23, 9, 30, 0, 123_456, UTC),
        received,
        datetime(2026, 11, 23, 8, 0, 0, 1, UTC),
    ]
    assert on == date(2026, 11, 23)


def test_bad_events_are_rows_with_reason_and_bytes_and_cost_no_neighbour(pipe: Pipeline) -> None:
    broken = b'{"event_id":"broken","event_name":"tap","event_properties":{"x":NaN}}'
    unnamed = json.dumps(event("unnamed", event_name=None)).encode()
    foreign = event("foreign")
    pipe.produce(
        request(event("good-1"), broken, unnamed, event("good-2", platform="symbian"), event("good-3")),
        request(foreign, source_id="nobody", partition=1),
    )
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == ["good-1", "good-3"]
    rows = pipe.rows("SELECT EVENT_ID, COLUMN_NAME, RAW, RAW_SHA256, SOURCE_ID FROM CORE.FAILED_EVENTS")
    by_raw = {bytes(raw): (column, digest, source) for _, column, raw, digest, source in rows}
    assert by_raw[broken][0] in {"decode", "edge"}
    assert by_raw[unnamed][:2] == ("edge", sha256(unnamed).hexdigest())
    assert by_raw[json.dumps(foreign).encode()][0] == "source_id"
    assert by_raw[json.dumps(foreign).encode()][2] == "nobody"
    assert len(rows) == 4


def test_a_failed_event_sent_again_is_one_row(pipe: Pipeline) -> None:
    bad = event("bad", platform="symbian", occurred_at="2026-11-23T08:00:00Z")
    for partition in (0, 1):
        pipe.produce(request(bad, partition=partition), request(bad))
        pipe.stage()
        pipe.load()
    assert pipe.failed("EVENT_ID", "COLUMN_NAME") == [("bad", "platform")]


def test_poison_records_are_rows_and_the_rest_flows(pipe: Pipeline) -> None:
    good = request(event("good"))
    pipe.produce(
        Request(b"\x00\xff junk", []),
        Request(b"", good.headers),
        Request(good.value[:-6], good.headers),
        Request(b'{"no":"events"}', good.headers),
        good,
        Request(b"only poison here", [("envelope_version", "9")], partition=2),
    )
    pipe.stage()
    totals = pipe.load()
    assert pipe.event_ids() == ["good"]
    assert totals["failed_inserted"] == 5
    assert {row[0] for row in pipe.failed("ENVELOPE_INDEX")} == {WHOLE_ENVELOPE}
    assert {bytes(row[0]) for row in pipe.failed("RAW")} >= {b"\x00\xff junk", b"only poison here", good.value[:-6]}


@pytest.mark.parametrize(
    "text", ['{"x": 1e400}', '{"x":"' + "\\ud83d\\ude00" + '"}', '{"x": {"$y": [' + "[" * 50 + "]" * 50 + "]}}"]
)
def test_odd_json_arrives_as_it_is_or_as_a_failed_event(pipe: Pipeline, text: str) -> None:
    raw = (
        b'{"event_id":"odd","event_name":"tap","device_id":"d","platform":"ios","event_properties":'
        + text.encode()
        + b"}"
    )
    pipe.produce(request(event("good"), raw))
    pipe.stage()
    totals = pipe.load()
    arrived = pipe.event_ids()
    assert "good" in arrived
    assert ("odd" in arrived) != (totals["unparsed"] == 1)
    assert totals["rows_inserted"] + totals["unparsed"] == 2


def test_json_that_snowflake_cannot_parse_becomes_a_failed_event(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What msgspec takes and TRY_PARSE_JSON does not differs by version; here a file has such a text for certain.
    original = Chunk.table

    def table(chunk: Chunk) -> object:
        made = original(chunk)
        place = made.schema.get_field_index("event_properties")
        broken = pc.if_else(pc.equal(made["event_id"], "odd"), '{"x": oops}', made["event_properties"])
        return made.set_column(place, made.schema.field(place), broken)

    monkeypatch.setattr(Chunk, "table", table)
    pipe.produce(request(event("odd"), event("good")))
    pipe.stage()
    totals = pipe.load()
    assert (totals["rows_staged"], totals["rows_inserted"], totals["unparsed"]) == (2, 1, 1)
    assert pipe.event_ids() == ["good"]
    ((event_id, expectation, raw),) = pipe.failed("EVENT_ID", "EXPECTATION", "RAW")
    assert (event_id, expectation) == ("odd", "try_parse_json")
    assert b"oops" in bytes(raw)
    assert pipe.load()["batches"] == 0


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_time_outside_the_calendar_stops_nothing(pipe: Pipeline, moment: str) -> None:
    pipe.produce(request(event("odd", occurred_at=moment), event("good")))
    pipe.stage()
    pipe.load()
    assert "good" in pipe.event_ids()
    assert len(pipe.event_ids()) + len(pipe.failed("EVENT_ID")) == 2


def test_identity_bodies_and_gzip_bodies_give_the_same_rows(pipe: Pipeline) -> None:
    pipe.produce(request(event("plain"), compress=False), request(event("zipped"), partition=1))
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == ["plain", "zipped"]
