"""Envelopes into rows: what their events say, what is known of each request, and where it lay in Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.columns import JSON, TOLD, Columns
from include.contract.dialects import Reader, reader
from include.contract.event import Event, derived_event_id
from include.facts import facts

MICROSECONDS = pa.timestamp("us")
ABSURD_SKEW_S = 366 * 86_400
"""A device clock that is further off than this is not corrected: `sent_at` is as wrong as anything."""

_FIRST_US = -62_135_596_800_000_000
_AFTER_LAST_US = 253_402_300_800_000_000

_text = pa.dictionary(pa.int32(), pa.string())

EVENT_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()), ("event_name", _text), ("schema_version", pa.int32()), ("source_id", _text),
        ("user_id", pa.string()), ("device_id", pa.string()), ("session_id", pa.string()),
        ("occurred_at", MICROSECONDS), ("sent_at", MICROSECONDS), ("received_at", MICROSECONDS),
        ("corrected_at", MICROSECONDS), ("occurred_on", pa.date32()),
        *((name, _text) for name in TOLD),
        *((name, pa.string()) for name in (*JSON, "extra")),
        ("kafka_partition", pa.int32()), ("kafka_offset", pa.int64()), ("envelope_index", pa.int32()),
        ("batch_id", _text),
    ]
)  # fmt: skip
V1 = reader("v1")
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC).date()
"""Bucket of events without a usable date (design rule 7)."""


@dataclass(slots=True)
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
    _columns: Columns = field(default_factory=Columns)
    _counts: list[int] = field(default_factory=list)

    def take_events(self) -> None:
        """Turn the events of new envelopes into columns; the envelopes are left without them."""
        fresh = self.envelopes[len(self._counts) :]
        self._columns.add([event for envelope in fresh for event in envelope.events])
        for envelope in fresh:
            self._counts.append(len(envelope.events))
            envelope.events = ()

    def table(self) -> pa.Table:
        """Return the events as rows of EVENT_SCHEMA, in (offset, index) order."""
        self.take_events()
        columns = self._columns.arrays()
        rows = sum(self._counts)
        columns["country"] = self._with_countries(columns["country"])
        columns["extra"] = _sparse(rows, self._positions("extra"))
        columns.update(self._times(columns["occurred_at"].cast(MICROSECONDS)))
        columns.update(self._lineage(rows))
        columns["event_id"] = self._with_ids(columns["event_id"])
        return pa.table([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)

    def facts(self, table: pa.Table) -> dict[str, pa.Array]:
        """Return, per row, the small values that expectations look at; many rows share one value."""
        decode = _sparse(len(table), self._positions("problems"), otherwise="ok")
        return facts(table, decode, _sparse(len(table), self._positions("rejected"), otherwise="accepted"))

    def raw_events(self, rows: Iterable[int]) -> dict[int, bytes]:
        """Return the client's own bytes of some rows."""
        self.take_events()
        wanted = sorted(rows)
        found: dict[int, bytes] = {}
        starts = np.cumsum([0, *self._counts])
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
        per_event = pa.array(known, pa.string()).take(self._owners())
        return pc.coalesce(countries.cast(pa.string()), per_event).dictionary_encode()

    def _positions(self, of: str) -> dict[int, str]:
        """Return the per-envelope findings of one kind by row."""
        found: dict[int, str] = {}
        base = 0
        for envelope, count in zip(self.envelopes, self._counts, strict=True):
            for index, value in getattr(envelope, of).items():
                found[base + index] = value.decode(errors="replace") if isinstance(value, bytes) else value
            base += count
        return found

    def _owners(self) -> pa.Array:
        """Return, per event, the number of its envelope."""
        return pa.array(np.repeat(np.arange(len(self._counts)), self._counts))

    def _times(self, occurred: pa.Array) -> dict[str, pa.Array]:
        owners = self._owners()
        sent = _times_of([envelope.sent_at for envelope in self.envelopes]).take(owners)
        received = _times_of([envelope.received_at for envelope in self.envelopes]).take(owners)
        return {
            "occurred_at": occurred,
            "sent_at": sent,
            "received_at": received,
            "corrected_at": corrected(occurred, sent, received),
            "occurred_on": pc.fill_null(pc.cast(pc.floor_temporal(occurred, unit="day"), pa.date32()), NO_DATE),
        }

    def _lineage(self, rows: int) -> dict[str, pa.Array]:
        owners = self._owners()
        sources = pa.array([envelope.source_id for envelope in self.envelopes], pa.string()).dictionary_encode()
        offsets = pa.array([envelope.offset for envelope in self.envelopes], pa.int64())
        return {
            "source_id": sources.take(owners),
            "kafka_partition": pa.array(np.full(rows, self.partition, dtype=np.int32)),
            "kafka_offset": offsets.take(owners),
            "envelope_index": pa.array(list(chain.from_iterable(map(range, self._counts))), pa.int32()),
            "batch_id": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(rows, dtype=np.int32)), pa.array([self.batch_id])
            ),
        }

    def _with_ids(self, ids: pa.Array) -> pa.Array:
        """Give events without an id the hash of their source and bytes."""
        missing = pc.indices_nonzero(pc.equal(pc.fill_null(pc.binary_length(ids), 0), 0)).to_pylist()
        if not missing:
            return ids
        values = ids.to_pylist()
        owners = self._owners()
        for row, raw in self.raw_events(missing).items():
            values[row] = derived_event_id(self.envelopes[owners[row].as_py()].source_id, raw)
        return pa.array(values, pa.string())


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


def _sparse(rows: int, found: dict[int, str], otherwise: str | None = None) -> pa.Array:
    """Return texts that hardly any row has."""
    values = pa.repeat(pa.scalar(otherwise, pa.string()), rows)
    if not found:
        return values
    places = sorted(found)
    numbers = np.zeros(rows, dtype=np.int64)
    numbers[places] = np.arange(1, len(places) + 1)
    return pa.array([otherwise, *map(found.__getitem__, places)], pa.string()).take(pa.array(numbers))


def _times_of(values: Sequence[datetime | None]) -> pa.Array:
    return pa.array(values, pa.timestamp("us", tz="UTC")).cast(MICROSECONDS)
