"""Envelopes as Arrow rows: column by column what the client sent, ids for those without, corrected times, lineage."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from hashlib import sha256

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.event import Event
from include.quality import suite
from include.rows import ABSURD_SKEW_S, EVENT_SCHEMA, Chunk, corrected
from tests.unit.include.fakes import RECEIVED_AT, body_of, chunk_of, columns_of, good_event

MICROSECONDS = pa.timestamp("us")


def test_rows_are_in_offset_and_index_order_with_their_lineage() -> None:
    table = chunk_of(
        body_of(good_event(event_id="a"), good_event(event_id="b")), body_of(good_event(event_id="c"))
    ).table()
    assert table.schema == EVENT_SCHEMA
    assert table["event_id"].to_pylist() == ["a", "b", "c"]
    assert table["kafka_offset"].to_pylist() == [100, 100, 101]
    assert table["envelope_index"].to_pylist() == [0, 1, 0]
    assert set(table["kafka_partition"].to_pylist()) == {3}
    assert set(table["batch_id"].to_pylist()) == {"events-0000000007"}
    assert set(table["source_id"].to_pylist()) == {"phone-app"}


def test_every_field_of_the_contract_is_a_column() -> None:
    assert set(Event.__struct_fields__) <= set(EVENT_SCHEMA.names)


def test_the_landing_table_has_the_columns_of_the_files() -> None:
    assert columns_of("EVENTS_TEMPLATE") == EVENT_SCHEMA.names


def test_an_event_without_an_id_gets_the_hash_of_source_and_bytes() -> None:
    raw = b'{"event_name":"tap","device_id":"d"}'
    table = chunk_of(b'{"events":[' + raw + b',{"event_id":"","x":1},{"event_id":"kept"}]}').table()
    assert table["event_id"].to_pylist() == [
        sha256(b"phone-app\0" + raw).hexdigest(), sha256(b'phone-app\0{"event_id":"","x":1}').hexdigest(), "kept",
    ]  # fmt: skip


def test_equal_bytes_of_two_sources_are_two_events() -> None:
    body = b'{"events":[{"event_name":"tap"}]}'
    one, other = chunk_of(body), chunk_of(body, source_id="web-app")
    both = Chunk(0, "b", [*one.envelopes, *other.envelopes]).table()
    assert len(set(both["event_id"].to_pylist())) == 2


def test_times_keep_the_device_clock_and_are_corrected_beside_it() -> None:
    body = body_of(good_event(occurred_at="2026-11-23T11:59:50.123456+01:00"), sent_at="2026-11-23T11:00:00Z")
    row = chunk_of(body).table().to_pylist()[0]
    assert row["occurred_at"] == datetime(2026, 11, 23, 10, 59, 50, 123456)  # noqa: DTZ001 - TIMESTAMP_NTZ, UTC
    assert row["sent_at"] == datetime(2026, 11, 23, 11)  # noqa: DTZ001
    assert row["corrected_at"] == datetime(2026, 11, 23, 9, 59, 50, 123456)  # noqa: DTZ001
    assert row["occurred_on"] == date(2026, 11, 23)


@pytest.mark.parametrize(("occurred", "on"), [
    (None, date(1970, 1, 1)), ("2026-11-23T00:30:00+01:00", date(2026, 11, 22)),
    ("1969-12-31T23:59:59.5Z", date(1969, 12, 31)),
])  # fmt: skip
def test_the_bucket_is_the_utc_date_of_the_raw_time(occurred: str | None, on: date) -> None:
    table = chunk_of(body_of(good_event(occurred_at=occurred))).table()
    assert table["occurred_on"].to_pylist() == [on]


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
    st.none() | st.integers(-2 * ABSURD_SKEW_S, 2 * ABSURD_SKEW_S),
)
def test_corrected_time_is_shifted_by_the_skew_unless_that_is_absurd(occurred: datetime, skew_s: int | None) -> None:
    received = RECEIVED_AT.replace(tzinfo=None)
    sent = None if skew_s is None else received - timedelta(seconds=skew_s)
    found = corrected(*(pa.array([moment], MICROSECONDS) for moment in (occurred, sent, received)))[0].as_py()
    usable = skew_s is not None and abs(skew_s) < ABSURD_SKEW_S
    assert found == occurred + timedelta(seconds=skew_s or 0) * usable


def test_json_stays_as_sent_and_null_is_null() -> None:
    table = chunk_of(
        b'{"events":[{"event_properties": {"a": 1.50} ,"consent":null},{"event_properties":null,"extra_key":[1, 2]}]}'
    ).table()
    assert table["event_properties"].to_pylist() == ['{"a": 1.50}', None]
    assert table["consent"].to_pylist() == [None, None]
    assert table["extra"].to_pylist() == [None, '{"extra_key":[1, 2]}']


def test_raw_events_are_the_clients_bytes() -> None:
    chunk = chunk_of(b'{"events":[ {"a":1} ,{"b": 2}]}', b'{"events":[{"c":3}]}')
    assert chunk.raw_events([2, 0]) == {0: b'{"a":1}', 2: b'{"c":3}'}


def test_a_chunk_of_nothing_has_no_rows() -> None:
    table = Chunk(0, "b").table()
    assert len(table) == 0
    assert all(len(column) == 0 for column in Chunk(0, "b").facts(table).values())


@pytest.mark.usefixtures("gx")
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_time_outside_the_calendar_is_a_failed_event_and_no_exception(moment: str) -> None:
    chunk = chunk_of(body_of(good_event(occurred_at=moment), good_event()))
    table = chunk.table()
    failed = suite("events").judge(chunk.facts(table), {"known_sources": ["phone-app"]}).failed
    assert list(failed) == [0], "the edge accepts it, no database can hold it"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_sent_at_outside_the_calendar_is_kept_in_extra(moment: str) -> None:
    table = chunk_of(body_of(good_event(), sent_at=moment)).table()
    assert table["sent_at"].to_pylist() == [None]
    assert moment in table["extra"].to_pylist()[0]


@pytest.mark.parametrize(
    ("occurred", "sent"), [("0002-01-01T00:00:00Z", 365 * 86_400), ("9998-12-31T00:00:00Z", -365 * 86_400)]
)
def test_a_correction_never_leaves_the_calendar(occurred: str, sent: int) -> None:
    sent_at = (RECEIVED_AT + timedelta(seconds=sent)).isoformat()
    row = chunk_of(body_of(good_event(occurred_at=occurred), sent_at=sent_at)).table().to_pylist()[0]
    assert 1 <= row["corrected_at"].year <= 9999
