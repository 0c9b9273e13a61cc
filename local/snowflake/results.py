"""Makes DuckDB's results what a Snowflake client can read: NULL times stay NULL, every number type is known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial

import fakesnow.arrow
import pyarrow as pa
import pyarrow.compute as pc

Description = list[tuple[str, str, None, None, None, None]]

_timestamp_to_struct = fakesnow.arrow.timestamp_to_sf_struct


def keep_null_timestamps() -> None:
    """Install the fix below in fakesnow, whose own function answers 1970-01-01 for a NULL timestamp."""
    setattr(fakesnow.arrow, "timestamp_to_sf_struct", timestamp_to_struct)  # noqa: B010 -- a patch, typed as one


def timestamp_to_struct(values: pa.Array | pa.ChunkedArray) -> pa.StructArray:
    """Return Snowflake's struct of epoch and fraction (and time zone), NULL where the timestamp is NULL."""
    column = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    filled = _timestamp_to_struct(pc.fill_null(column, pa.scalar(0, column.type)))
    fields = [filled.type.field(index) for index in range(filled.type.num_fields)]
    return pa.StructArray.from_arrays(filled.flatten(), fields=fields, mask=pc.is_null(column))


def presentable(table: pa.Table, names_and_types: list[tuple[str, str]]) -> tuple[pa.Table, Description]:
    """Return `table` and its description with types that Snowflake has."""
    described: Description = []
    for index, (name, kind) in enumerate(names_and_types):
        shown, convert = next((rule[1:] for rule in CONVERSIONS if rule[0].match(kind)), (kind, None))
        if convert is not None:
            table = table.set_column(index, table.column_names[index], convert(table.column(index)))
        described.append((name, shown, None, None, None, None))
    return table, described


def _cast(kind: pa.DataType) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    return lambda column: pc.cast(column, kind, safe=False)


def _as_text(write: Callable[[object], str]) -> Callable[[pa.ChunkedArray], pa.Array]:
    def convert(column: pa.ChunkedArray) -> pa.Array:
        return pa.array([None if value is None else write(value) for value in column.to_pylist()], pa.string())

    return convert


CONVERSIONS = (
    # DuckDB hands a HUGEINT, its type of SUM over integers, to Arrow as a double: exact up to 2**53.
    (re.compile(r"U?(TINY|SMALL|HUGE)INT\Z|UINTEGER\Z"), "BIGINT", _cast(pa.int64())),
    (re.compile(r"FLOAT\Z"), "DOUBLE", _cast(pa.float64())),
    (re.compile(r"TIMESTAMP_M?S\Z"), "TIMESTAMP", _cast(pa.timestamp("us"))),
    (re.compile(r".*\[\d*\]\Z|STRUCT\(|MAP\("), "JSON", _as_text(partial(json.dumps, default=str))),
    (re.compile(r"UUID\Z|INTERVAL\Z|ENUM\("), "VARCHAR", _as_text(str)),
)
