"""Envelopes into Arrow columns: the event rows, and the narrow facts about each row that the suite judges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.contract.dialects import Reader, reader
from include.contract.event import Event, derived_event_id

MICROSECONDS = pa.timestamp("us")
ABSURD_SKEW_S = 366 * 86_400
"""A device clock that is further off than this is not corrected: `sent_at` is as wrong as anything."""

_FIRST_US = -62_135_596_800_000_000
_AFTER_LAST_US = 253_402_300_800_000_000

_REPEATED = ("event_name", "platform", "app_version", "os_name", "os_version", "device_model", "locale", "country",
             "library_name", "library_version")  # fmt: skip
_SINGLE = ("event_id", "user_id", "device_id", "session_id")
_JSON = ("consent", "event_properties", "user_properties")
_text = pa.dictionary(pa.int32(), pa.string())

EVENT_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()), ("event_name", _text), ("schema_version", pa.int32()), ("source_id", _text),
        ("user_id", pa.string()), ("device_id", pa.string()), ("session_id", pa.string()),
        ("occurred_at", MICROSECONDS), ("sent_at", MICROSECONDS), ("received_at", MICROSECONDS),
        ("corrected_at", MICROSECONDS), ("occurred_on", pa.date32()),
        *((name, _text) for name in _REPEATED[1:]),
        *((name, pa.string()) for name in (*_JSON, "extra")),
        ("kafka_partition", pa.int32()), ("kafka_offset", pa.int64()), ("envelope_index", pa.int32()),
        ("batch_id", _text),
    ]
)  # fmt: skip
V1 = reader("v1")
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC).date()
"""Bucket of events without a usable date (design rule 7)."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One envelope that could be decoded: where it lay, what the edge knew, and its events."""

    offset: int
    source_id: str
    received_at: datetime
    sent_at: datetime | None
    body: bytes
    events: Sequence[Event]
    extra: dict[int, bytes]
    problems: dict[int, str]
    rejected: dict[int, str]
    country: str | None = None
    dialect: Reader = V1
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(slots=True)
class Chunk:
    """Decoded envelopes of one Kafka partition, as many as are validated and written at once."""

    partition: int
    batch_id: str
    envelopes: list[Decoded] = field(default_factory=list)

    def table(self) -> pa.Table:
        """Return the events as rows of EVENT_SCHEMA, in (offset, index) order."""
        columns: dict[str, Any] = {}
        events = [event for envelope in self.envelopes for event in envelope.events]
        for name in _SINGLE:
            columns[name] = pa.array(list(map(attrgetter(name), events)), pa.string())
        columns["event_name"] = pa.array(list(map(attrgetter("event_name"), events)), pa.string()).dictionary_encode()
        columns.update(_together(_REPEATED[1:], events))
        columns["country"] = self._with_countries(columns["country"])
        for name in _JSON:
            columns[name] = _json_column(list(map(attrgetter(name), events)))
        columns["schema_version"] = pa.array(list(map(attrgetter("schema_version"), events)), pa.int32())
        columns["extra"] = _sparse(len(events), self._positions("extra"))
        columns.update(self._times(events))
        columns.update(self._lineage(len(events)))
        columns["event_id"] = self._with_ids(columns["event_id"])
        return pa.table([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)

    def facts(self, table: pa.Table) -> dict[str, pa.Array]:
        """Return, per row, the small values that expectations look at; many rows share one value."""
        decode = _sparse(len(table), self._positions("problems"), otherwise="ok")
        return facts(table, decode, _sparse(len(table), self._positions("rejected"), otherwise="accepted"))

    def raw_events(self, rows: Iterable[int]) -> dict[int, bytes]:
        """Return the client's own bytes of some rows."""
        wanted = sorted(rows)
        found: dict[int, bytes] = {}
        starts = np.cumsum([0, *(len(envelope.events) for envelope in self.envelopes)])
        owners = np.searchsorted(starts, wanted, side="right") - 1
        pieces: tuple[int, list[bytes]] = (-1, [])
        for row, owner in zip(wanted, owners.tolist(), strict=True):
            if pieces[0] != owner:
                envelope = self.envelopes[owner]
                pieces = (owner, envelope.dialect.split(envelope.body))
            found[row] = pieces[1][row - int(starts[owner])]
        return found

    def _with_countries(self, countries: pa.Array) -> pa.Array:
        """Give events that name no country the one of the gateway, where there is one."""
        known = [envelope.country for envelope in self.envelopes]
        if not any(known):
            return countries
        per_event = pa.array(known, pa.string()).take(_owners(self._counts()))
        return pc.coalesce(countries.cast(pa.string()), per_event).dictionary_encode()

    def _positions(self, of: str) -> dict[int, str]:
        """Return the per-envelope findings of one kind by row."""
        found: dict[int, str] = {}
        base = 0
        for envelope in self.envelopes:
            for index, value in getattr(envelope, of).items():
                found[base + index] = value.decode(errors="replace") if isinstance(value, bytes) else value
            base += len(envelope.events)
        return found

    def _counts(self) -> np.ndarray[Any, Any]:
        return np.array([len(envelope.events) for envelope in self.envelopes], dtype=np.int64)

    def _times(self, events: list[Event]) -> dict[str, pa.Array]:
        counts = self._counts()
        occurred = pa.array([event.occurred_at for event in events], pa.timestamp("us", tz="UTC")).cast(MICROSECONDS)
        sent = _repeated([envelope.sent_at for envelope in self.envelopes], counts)
        received = _repeated([envelope.received_at for envelope in self.envelopes], counts)
        return {
            "occurred_at": occurred,
            "sent_at": sent,
            "received_at": received,
            "corrected_at": corrected(occurred, sent, received),
            "occurred_on": pc.fill_null(pc.cast(pc.floor_temporal(occurred, unit="day"), pa.date32()), NO_DATE),
        }

    def _lineage(self, rows: int) -> dict[str, pa.Array]:
        counts = self._counts()
        sources = pa.array([envelope.source_id for envelope in self.envelopes], pa.string()).dictionary_encode()
        return {
            "source_id": sources.take(_owners(counts)),
            "kafka_partition": pa.array(np.full(rows, self.partition, dtype=np.int32)),
            "kafka_offset": pa.array(np.repeat([envelope.offset for envelope in self.envelopes], counts), pa.int64()),
            "envelope_index": pa.array(list(chain.from_iterable(map(range, counts.tolist()))), pa.int32()),
            "batch_id": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(rows, dtype=np.int32)), pa.array([self.batch_id])
            ),
        }

    def _with_ids(self, ids: pa.Array) -> pa.Array:
        """Give events without an id the hash of their source and bytes."""
        missing = pc.indices_nonzero(pc.equal(pc.fill_null(ids, ""), "")).to_pylist()
        if not missing:
            return ids
        values = ids.to_pylist()
        sources = [source for envelope in self.envelopes for source in repeat(envelope.source_id, len(envelope.events))]
        for row, raw in self.raw_events(missing).items():
            values[row] = derived_event_id(sources[row], raw)
        return pa.array(values, pa.string())


def facts(table: pa.Table, decode: pa.Array, edge: pa.Array) -> dict[str, pa.Array]:
    """Return, per row of EVENT_SCHEMA, the small values that expectations look at.

    Args:
        table: the rows.
        decode: what reading the event found, `ok` where nothing.
        edge: what the edge found, `accepted` where nothing.

    """
    ahead = pc.subtract(_epoch_s(table["corrected_at"]), _epoch_s(table["received_at"]))
    found = {
        "decode": decode,
        "edge": edge,
        "source_id": table["source_id"],
        "event_name": table["event_name"],
        "platform": table["platform"],
        "schema_version": table["schema_version"],
        "identity": pc.if_else(pc.or_(_anyone(table), _about_group(table)), "present", "missing"),
        "occurred_at": pc.if_else(pc.is_valid(table["occurred_at"]), "present", "missing"),
        "occurred_ahead_minutes": pc.cast(pc.floor(pc.divide(pc.cast(ahead, pa.float64()), 60.0)), pa.int64()),
        "json_kibibytes": pc.cast(pc.divide(_json_bytes(table), 1024), pa.int32()),
    }
    found["text_length"] = _longest([table[name] for name in _REPEATED[1:]])
    for name in ("event_id", "user_id", "device_id", "session_id"):
        found[f"{name}_length"] = pc.fill_null(pc.utf8_length(table[name]), 0)
    for name in _JSON:
        found[f"{name}_kind"] = pc.utf8_slice_codeunits(pc.fill_null(table[name], "{"), 0, 1)
    return {name: _flat(column).dictionary_encode() for name, column in found.items()}


def corrected(occurred: pa.Array, sent: pa.Array, received: pa.Array) -> pa.Array:
    """Return occurred_at + (received_at - sent_at), the only place where a device clock is corrected.

    Where `sent_at` is missing, the skew is absurd, or the years 1 to 9999 would be left, the raw time stands.
    """
    skew = pc.subtract(received, sent)
    usable = pc.less(pc.abs(pc.cast(skew, pa.int64())), ABSURD_SKEW_S * 1_000_000)
    zero = pa.scalar(0, pa.duration("us"))
    moved = pc.add(occurred, pc.if_else(pc.fill_null(usable, False), pc.fill_null(skew, zero), zero))  # noqa: FBT003 - Arrow's own argument
    micros = pc.cast(moved, pa.int64())
    in_calendar = pc.and_(pc.greater_equal(micros, _FIRST_US), pc.less(micros, _AFTER_LAST_US))
    return pc.if_else(pc.fill_null(in_calendar, False), moved, occurred)  # noqa: FBT003 - Arrow's own argument


def _together(names: Sequence[str], events: list[Event]) -> dict[str, pa.Array]:
    """Return columns that repeat together, such as all that describes a device, by their distinct combinations."""
    index: dict[tuple[str | None, ...], int] = {}
    codes = pa.array([index.setdefault(key, len(index)) for key in map(attrgetter(*names), events)], pa.int32())
    distinct = zip(*index, strict=True) if index else [()] * len(names)
    return {
        name: pa.array(values, pa.string()).dictionary_encode().take(codes)
        for name, values in zip(names, distinct, strict=True)
    }


def _json_column(values: list[Any]) -> pa.Array:
    """Join raw JSON values into one string array; `null` becomes a null, and no row is touched alone."""
    lengths = (memoryview(value).nbytes for value in values)
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(np.fromiter(lengths, dtype=np.int32, count=len(values)), out=offsets[1:])
    array = pa.Array.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    )
    array = pc.if_else(pc.equal(array, b"null"), pa.scalar(None, pa.binary()), array)
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:  # bytes that are not UTF-8 inside a string; the client's own bytes stay in Kafka
        texts = (None if value is None else value.decode(errors="replace") for value in array.to_pylist())
        return pa.array(texts, pa.string())


def _sparse(rows: int, found: dict[int, str], otherwise: str | None = None) -> pa.Array:
    values: list[str | None] = [otherwise] * rows
    for row, value in found.items():
        values[row] = value
    return pa.array(values, pa.string())


def _repeated(values: list[datetime | None] | list[datetime], counts: np.ndarray[Any, Any]) -> pa.Array:
    per_envelope = pa.array(values, pa.timestamp("us", tz="UTC")).cast(MICROSECONDS)
    return per_envelope.take(_owners(counts))


def _owners(counts: np.ndarray[Any, Any]) -> pa.Array:
    """Return, per event, the number of its envelope."""
    return pa.array(np.repeat(np.arange(len(counts)), counts))


def _anyone(table: pa.Table) -> pa.Array:
    lengths = [pc.fill_null(pc.utf8_length(table[name]), 0) for name in ("user_id", "device_id")]
    return pc.greater(pc.add(*lengths), 0)


def _about_group(table: pa.Table) -> pa.Array:
    """Tell which events change a group's properties: Amplitude's SDKs send them without a user or device."""
    return pc.fill_null(pc.equal(table["event_name"].cast(pa.string()), "$groupidentify"), False)  # noqa: FBT003


def _epoch_s(column: pa.Array) -> pa.Array:
    return pc.divide(pc.cast(_flat(column), pa.int64()), 1_000_000)


def _json_bytes(table: pa.Table) -> pa.Array:
    sizes = [pc.fill_null(pc.binary_length(table[name]), 0) for name in (*_JSON, "extra")]
    return pc.add(pc.add(sizes[0], sizes[1]), pc.add(sizes[2], sizes[3]))


def _longest(columns: Sequence[pa.ChunkedArray]) -> pa.Array:
    """Return, per row, the length of the longest text among dictionary-encoded columns."""
    flat = [_flat(column) for column in columns]
    return pc.max_element_wise(
        *(pc.fill_null(pc.utf8_length(column.dictionary).take(column.indices), 0) for column in flat)
    )


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
