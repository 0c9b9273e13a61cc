"""The envelope: what is written is what is read, and anything else is refused with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.envelope import Envelope, format_time

ENVELOPE = Envelope(
    request_id="ab" * 16,
    source_id="shop-ios",
    dialect="v1",
    received_at=datetime(2026, 11, 22, 10, 0, 0, 7, UTC),
    content_encoding="gzip",
    event_count=3,
    value=b"\x1f\x8bbody",
    rejected={2: "event_name is needed"},
)


def _wire(envelope: Envelope) -> list[tuple[str, bytes | None]]:
    """Return the headers as Kafka hands them back: bytes."""
    found: list[tuple[str, bytes | None]] = []
    for name, value in envelope.headers():
        found.append((name, value.encode() if isinstance(value, str) else value))
    return found


def test_headers_are_those_of_the_contract() -> None:
    assert _wire(ENVELOPE) == [
        ("envelope_version", b"1"),
        ("request_id", b"ab" * 16),
        ("source_id", b"shop-ios"),
        ("dialect", b"v1"),
        ("received_at", b"2026-11-22T10:00:00.000007Z"),
        ("content_encoding", b"gzip"),
        ("event_count", b"3"),
        ("rejected", b'{"2":"event_name is needed"}'),
    ]


def test_no_rejected_header_without_bad_events() -> None:
    assert "rejected" not in dict(msgspec.structs.replace(ENVELOPE, rejected={}).headers())


@given(
    received_at=st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001
    rejected=st.dictionaries(st.integers(0, 99), st.text()),
    value=st.binary(),
    encoding=st.sampled_from(["gzip", "identity"]),
)
def test_what_is_written_is_read(received_at: datetime, rejected: dict[int, str], value: bytes, encoding: str) -> None:
    envelope = msgspec.structs.replace(
        ENVELOPE, received_at=received_at, rejected=rejected, value=value, content_encoding=encoding, event_count=100
    )
    assert Envelope.parse(_wire(envelope), value) == envelope


def test_headers_of_a_newer_writer_are_ignored() -> None:
    assert Envelope.parse([*_wire(ENVELOPE), ("from_the_future", b"DE")], ENVELOPE.value) == ENVELOPE


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("envelope_version", b"2", "envelope_version is '2'"),
        ("envelope_version", None, "envelope_version is missing"),
        ("request_id", None, "request_id is missing"),
        ("source_id", b"", "source_id is missing"),
        ("dialect", b"\xff", "not UTF-8"),
        ("received_at", b"yesterday", "not an RFC 3339 time"),
        ("received_at", b"2026-11-22T10:00:00", "without an offset"),
        ("content_encoding", b"br", "not gzip or identity"),
        ("event_count", b"-1", "not a number"),
        ("event_count", b"1" * 5000, "not a number"),
        ("rejected", b"[]", "header rejected"),
        ("rejected", b'{"x":"y"}', "header rejected"),
        ("rejected", b'{"3":"outside"}', "outside 0..2"),
        ("rejected", b"not json", "header rejected"),
    ],
)
def test_a_malformed_record_says_why(name: str, value: bytes | None, reason: str) -> None:
    headers = dict(_wire(ENVELOPE))
    headers[name] = value
    with pytest.raises(ValueError, match=reason):
        Envelope.parse(list(headers.items()), b"{}")


def test_a_record_without_headers_or_value_is_refused() -> None:
    with pytest.raises(ValueError, match="envelope_version is missing"):
        Envelope.parse(None, b"{}")
    with pytest.raises(ValueError, match="no value"):
        Envelope.parse(_wire(ENVELOPE), None)


def test_times_are_written_in_utc() -> None:
    moment = datetime(2026, 11, 22, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2026-11-22T10:00:00.000000Z"
