"""Events into Arrow columns, a few hundred at a time: while they still lie in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.contract.event import Event

BLOCK_EVENTS = 500
"""Events that become columns at once; with ten thousand, fetching each text from memory costs twice as much."""

TOLD = ("platform", "app_version", "os_name", "os_version", "device_model", "locale", "country", "library_name",
        "library_version")  # fmt: skip
"""Texts about app, device and library: much the same in all events of a request."""
TEXTS = ("event_id", "event_name", "user_id", "device_id", "session_id")
JSON = ("consent", "event_properties", "user_properties")

_told = attrgetter(*TOLD)


class Columns:
    """The fields of events, column by column, in the order in which the events came."""

    def __init__(self) -> None:
        self._blocks: dict[str, list[pa.Array]] = {name: [] for name in _KINDS}
        self._combinations: dict[tuple[str | None, ...], int] = {}
        self._runs: list[tuple[int, int]] = []

    def add(self, events: Sequence[Event]) -> None:
        """Take the fields of all these events, or none where that raises; the events themselves are not kept."""
        blocks = [events[start : start + BLOCK_EVENTS] for start in range(0, len(events), BLOCK_EVENTS)]
        taken = [{name: read(list(map(get, block))) for name, (get, read) in _READ.items()} for block in blocks]
        for arrays in taken:
            for name, array in arrays.items():
                self._blocks[name].append(array)
        numbers = self._combinations
        for told, run in groupby(map(_told, events)):
            self._runs.append((numbers.setdefault(told, len(numbers)), len(list(run))))

    def arrays(self) -> dict[str, pa.Array]:
        """Return a column per field: texts of TOLD and names as dictionaries, JSON as the client's own text."""
        empty = {name: pa.array([], kind) for name, kind in _KINDS.items()}
        found = {name: pa.concat_arrays(blocks or [empty[name]]) for name, blocks in self._blocks.items()}
        found["event_name"] = found["event_name"].dictionary_encode()
        found.update((name, _json(found[name])) for name in JSON)
        return found | self._told()

    def _told(self) -> dict[str, pa.Array]:
        """Return columns that repeat together by their distinct combinations."""
        runs = np.array(self._runs, dtype=np.int64).reshape(-1, 2)
        codes = pa.array(np.repeat(runs[:, 0], runs[:, 1]))
        distinct = zip(*self._combinations, strict=True) if self._combinations else [()] * len(TOLD)
        return {
            name: pa.array(values, pa.string()).dictionary_encode().take(codes)
            for name, values in zip(TOLD, distinct, strict=True)
        }


def _raw(values: list[Any]) -> pa.Array:
    """Put raw JSON values one behind the other; no row is touched alone."""
    # No JSON text has a byte 0, so that it can tell where each value ends.
    joined = b"\0".join(values)
    ends = np.flatnonzero(np.frombuffer(joined, np.uint8) == 0)
    if len(ends) != len(values) - 1:
        return pa.array(list(map(bytes, values)), pa.binary())
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    offsets[1:-1] = ends - np.arange(len(ends))
    offsets[-1] = len(joined) - len(ends)
    data = joined.replace(b"\0", b"")
    return pa.Array.from_buffers(pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _of(kind: pa.DataType) -> Callable[[list[Any]], pa.Array]:
    return lambda values: pa.array(values, kind)


_KINDS = {
    **dict.fromkeys(TEXTS, pa.string()),
    **dict.fromkeys(JSON, pa.binary()),
    "schema_version": pa.int32(),
    "occurred_at": pa.timestamp("us", tz="UTC"),
}
_READ = {name: (attrgetter(name), _raw if name in JSON else _of(kind)) for name, kind in _KINDS.items()}


def _json(array: pa.Array) -> pa.Array:
    """Turn raw values into text; `null` becomes a null."""
    present = pc.not_equal(array, b"null")
    _, offsets, data = array.buffers()
    array = pa.Array.from_buffers(pa.binary(), len(array), [present.buffers()[1], offsets, data], offset=array.offset)
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:  # bytes that are not UTF-8 inside a string; the client's own bytes stay in Kafka
        texts = (None if value is None else value.decode(errors="replace") for value in array.to_pylist())
        return pa.array(texts, pa.string())
