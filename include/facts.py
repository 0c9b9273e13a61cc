"""What the suite looks at: per row, small values of which many rows share one, computed column by column."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from include.columns import JSON, TOLD


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
        "identity": _present(pc.or_(_anyone(table), _about_group(table))),
        "occurred_at": _present(pc.is_valid(table["occurred_at"])),
        "occurred_ahead_minutes": pc.cast(pc.floor(pc.divide(pc.cast(ahead, pa.float64()), 60.0)), pa.int64()),
        "json_kibibytes": pc.cast(pc.divide(_json_bytes(table), 1024), pa.int32()),
        "text_length": _longest([table[name] for name in TOLD]),
    }
    for name in ("event_id", "user_id", "device_id", "session_id"):
        found[f"{name}_length"] = pc.fill_null(pc.utf8_length(table[name]), 0)
    for name in JSON:
        found[f"{name}_kind"] = pc.fill_null(pc.utf8_slice_codeunits(table[name], 0, 1), "{")
    return {name: _flat(column) for name, column in found.items()}


def _present(is_there: pa.ChunkedArray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(_flat(is_there).cast(pa.int8()), ["missing", "present"])


def _anyone(table: pa.Table) -> pa.ChunkedArray:
    lengths = [pc.fill_null(pc.binary_length(table[name]), 0) for name in ("user_id", "device_id")]
    return pc.greater(pc.add(*lengths), 0)


def _about_group(table: pa.Table) -> pa.Array:
    """Tell which events change a group's properties: Amplitude's SDKs send them without a user or device."""
    names = _flat(table["event_name"])
    is_about = pc.fill_null(pc.equal(names.dictionary, "$groupidentify"), False)  # noqa: FBT003 - Arrow's own argument
    return pc.fill_null(is_about.take(names.indices), False)  # noqa: FBT003


def _epoch_s(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.divide(pc.cast(column, pa.int64()), 1_000_000)


def _json_bytes(table: pa.Table) -> pa.ChunkedArray:
    sizes = [pc.fill_null(pc.binary_length(table[name]), 0) for name in (*JSON, "extra")]
    return pc.add(pc.add(sizes[0], sizes[1]), pc.add(sizes[2], sizes[3]))


def _longest(columns: Sequence[pa.ChunkedArray]) -> pa.Array:
    """Return, per row, the length of the longest text among dictionary-encoded columns."""
    flat = [_flat(column) for column in columns]
    return pc.max_element_wise(
        *(pc.fill_null(pc.utf8_length(column.dictionary).take(column.indices), 0) for column in flat)
    )


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
