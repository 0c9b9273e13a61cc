"""Failed events as rows: what was wrong, and the client's own bytes, so that they can be found and re-driven."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
import pyarrow as pa

from include.contract.extra import Fields, join
from include.quality import Reason
from include.rows import MICROSECONDS, NO_DATE, Chunk, Decoded
from include.topic import Record

FAILED_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()), ("event_name", pa.string()), ("source_id", pa.string()), ("platform", pa.string()),
        ("app_version", pa.string()), ("received_at", MICROSECONDS), ("expectation", pa.string()),
        ("column_name", pa.string()), ("value", pa.string()), ("reasons", pa.string()), ("raw", pa.binary()),
        ("raw_sha256", pa.string()), ("kafka_partition", pa.int32()), ("kafka_offset", pa.int64()),
        ("envelope_index", pa.int32()), ("batch_id", pa.string()), ("occurred_on", pa.date32()),
        ("envelope", pa.dictionary(pa.int32(), pa.string())),
    ]
)  # fmt: skip
WHOLE_ENVELOPE = -1
"""`envelope_index` of a record that could not be opened at all."""
PLAIN_RAW_BYTES = 8_000_000
"""Longer raw bytes are kept gzip-compressed: 8 MiB is the most that a BINARY column of every account takes."""
AROUND_BYTES = 4_096
"""What a request has beside its events is kept with each failed one up to here, as in `extra` of good ones."""
_FROM_ROW = ("event_id", "event_name", "source_id", "platform", "app_version", "received_at", "kafka_partition",
             "kafka_offset", "envelope_index", "batch_id", "occurred_on")  # fmt: skip

_CLIPPED = {"event_id": 4096, "event_name": 255, "platform": 255, "app_version": 255}
"""Characters shown of what may be of any length in a failed event; the raw bytes have all of it."""


def failed_rows(chunk: Chunk, table: pa.Table, failed: Mapping[int, Sequence[Reason]]) -> list[dict[str, Any]]:
    """Return one row of FAILED_SCHEMA per failed event of a chunk."""
    offsets = {row: table["kafka_offset"][row].as_py() for row in failed}
    wanted = set(offsets.values())
    envelopes = {one.offset: _envelope_of_event(one) for one in chunk.envelopes if one.offset in wanted}
    return rows_of(table, failed, chunk.raw_events(failed), {row: envelopes[at] for row, at in offsets.items()})


def rows_of(
    table: pa.Table, failed: Mapping[int, Sequence[Reason]], raws: Mapping[int, bytes], envelopes: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Return one row of FAILED_SCHEMA per failed row of a table; its first reason is the one to search by.

    Args:
        table: the events.
        failed: by row, every reason.
        raws: by row, the client's bytes.
        envelopes: by row, column ENVELOPE.

    """
    order = sorted(failed)
    described = table.select(_FROM_ROW).take(pa.array(order, pa.int64())).to_pylist()
    return [
        _row({**row, **_shown(row), "envelope": envelopes[index]}, failed[index], raws[index])
        for index, row in zip(order, described, strict=True)
    ]


def undecodable(record: Record, partition: int, batch_id: str, problem: str) -> dict[str, Any]:
    """Return the row of a record that is no envelope, or whose body cannot be opened."""
    known = {name: (raw or b"").decode(errors="replace") for name, raw in record.headers}
    row = {
        "event_id": sha256(record.value).hexdigest(),
        "event_name": None,
        "source_id": known.get("source_id", ""),
        "platform": None,
        "app_version": None,
        "received_at": datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
        "kafka_partition": partition,
        "kafka_offset": record.offset,
        "envelope_index": WHOLE_ENVELOPE,
        "batch_id": batch_id,
        "occurred_on": None,
        "envelope": envelope_text(record.headers, {}),
    }
    return _row(row, [Reason("envelope_can_be_opened", "envelope", problem[:255])], record.value)


class Kept(msgspec.Struct, omit_defaults=True):
    """What column ENVELOPE keeps: the record's headers, and what the request has beside its events."""

    headers: dict[str, str] = {}
    binary: dict[str, bytes] = {}
    """Headers that are not UTF-8."""
    around: Fields | None = None
    """None where it is too long."""


def envelope_text(headers: Iterable[tuple[str, bytes | None]], around: Fields) -> str:
    """Return column ENVELOPE."""
    kept = Kept(around=around if len(join(around)) <= AROUND_BYTES else None)
    for name, raw in headers:
        try:
            kept.headers[name] = (raw or b"").decode()
        except UnicodeDecodeError:
            kept.binary[name] = raw or b""
    return msgspec.json.encode(kept).decode(errors="replace")


def _envelope_of_event(envelope: Decoded) -> str:
    # What the edge said of each of the request's bad events would make every one of them as long as all together.
    headers = [(name, raw) for name, raw in envelope.headers if name != "rejected"]
    return envelope_text(headers, envelope.dialect.around(envelope.body))


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {name: _clipped(row[name], most) for name, most in _CLIPPED.items()}
    return shown | {"occurred_on": None if row["occurred_on"] == NO_DATE else row["occurred_on"]}


def _row(row: Mapping[str, Any], reasons: Sequence[Reason], raw: bytes) -> dict[str, Any]:
    return {
        **row,
        "expectation": reasons[0].expectation,
        "column_name": reasons[0].column,
        "value": reasons[0].value,
        "reasons": msgspec.json.encode(reasons).decode(),
        "raw": raw if len(raw) <= PLAIN_RAW_BYTES else gzip.compress(raw, mtime=0),
        "raw_sha256": sha256(raw).hexdigest(),
    }


def _clipped(text: str | None, most: int) -> str | None:
    return None if text is None else text[:most]
