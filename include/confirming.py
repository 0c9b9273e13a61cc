"""What a vendor's own export has: landed as one file and marked in DELIVERIES by one statement, for settle_hour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from uuid import uuid4

import pyarrow as pa

from include.errors import PipelineError
from include.lake import Lake
from include.statements import statement
from include.warehouse import Warehouse, land_files

LANDING = "landing/"
"""Below it lie files that live for seconds; what a killed run left is removed a day later."""
IDS_AT_ONCE = 100_000
_SCHEMA = pa.schema([("insert_id", pa.string())])


def confirm(lake: Lake, warehouse: Warehouse, vendor: str, dates: Iterable[str], insert_ids: Iterable[str]) -> None:
    """Remember that the vendor has these events; an id may come twice, one that was not offered changes nothing.

    Args:
        lake: where the ids are staged, for as long as they are landed.
        warehouse: the warehouse.
        vendor: name of the vendor.
        dates: dates of the events in question; those of other dates are left to the hours that ask for them.
        insert_ids: ids as the vendor has them, any number.

    Raises:
        TransientError: the lake or the warehouse is away or busy; nothing is marked.

    """
    lake.sweep(LANDING)
    table = f"L_{uuid4().hex[:8].upper()}_CONFIRMED"
    name = f"{LANDING}{vendor}/{table}.parquet"
    writer = lake.parquet(name)
    for ids in _grouped(insert_ids):
        writer.write(pa.table([pa.array(ids, pa.string())], schema=_SCHEMA))
    if (file := writer.close("confirmed", 0)) is None:
        return
    try:
        land_files(warehouse, table, "CONFIRMED_TEMPLATE", [file], f"ids that {vendor} confirmed")
        sql = statement("publish/deliveries", "confirmed", dates, table=table)
        warehouse.run(sql, {"vendor": vendor}, "marking confirmed")
    finally:
        with suppress(PipelineError):
            warehouse.run(statement("load/landing", "drop", table=table), doing=f"dropping {table}")
        with suppress(PipelineError):
            lake.remove(name)


def _grouped(insert_ids: Iterable[str]) -> Iterator[list[str]]:
    left = iter(insert_ids)
    while ids := list(islice(left, IDS_AT_ONCE)):
        yield ids
