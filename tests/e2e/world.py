"""Everything that a run could change, taken down to compare: blobs, rows, vendor events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from snowflake.connector.cursor import SnowflakeCursor

from local import clients
from local.reader import vendor_ids

EVENT_TABLES = (
    "CORE.EVENTS",
    "CORE.FAILED_EVENTS",
    "PUBLISH.OUTBOX",
    "PUBLISH.DELIVERIES",
    "PUBLISH.AMPLITUDE_OUTBOX",
    "PUBLISH.PSEUDONYMS",
    "PUBLISH.SUPPRESSIONS",
)
# Every minute's run adds its own row to these, also when the minute was empty.
GROWING_TABLES = ("CONTROL.LOADS", "PUBLISH.PUBLICATIONS", "CONTROL.RECONCILIATION")
_COLUMNS = {"CONTROL.RECONCILIATION": "HOUR, HOP, EXPECTED, ACTUAL, EXPLAINED, DETAIL"}
"""When an hour was reconciled last is the one thing that reconciling it again changes."""


@dataclass(frozen=True)
class World:
    """Blobs by name with their ETags, rows by table, and what the vendor has."""

    blobs: Mapping[str, str]
    rows: Mapping[str, Counter[tuple[str, ...]]]
    vendor: Mapping[str, Any]
    vendor_ids: Counter[str]


def world(endpoints: Mapping[str, str]) -> World:
    """Take everything down."""
    with clients.storage(endpoints) as storage:
        container = storage.get_container_client(endpoints["PIPELINE_LAKE_CONTAINER"])
        blobs = {str(blob.name): str(blob.etag) for blob in container.list_blobs()}
    with closing(clients.warehouse(endpoints)) as connection, closing(connection.cursor()) as cursor:
        rows = {table: _rows(cursor, table) for table in EVENT_TABLES + GROWING_TABLES}
    url = endpoints["LOCAL_URL_AMPLITUDE"]
    kept = ("events", "duplicates", "rejected_rows", "refused_requests", "last_row")
    stats = vendor_ids.stats(url)
    return World(blobs, rows, {name: stats[name] for name in kept}, vendor_ids.read(url))


def changes(before: World, after: World) -> list[str]:
    """Say what changed beyond what empty minutes add; empty when nothing did."""
    found = [
        f"blob {name} was rewritten or removed" for name in before.blobs if after.blobs.get(name) != before.blobs[name]
    ]
    found += [
        f"new file {name}"
        for name in after.blobs.keys() - before.blobs.keys()
        if name.startswith(("events/", "failed/"))
    ]
    for table in EVENT_TABLES + GROWING_TABLES:
        lost, more = before.rows[table] - after.rows[table], after.rows[table] - before.rows[table]
        found += [f"{table}: {lost.total()} rows changed or gone, such as {row}" for row in list(lost)[:1]]
        if table in EVENT_TABLES:
            found += [f"{table}: {more.total()} rows more, such as {row}" for row in list(more)[:1]]
    if before.vendor != after.vendor or before.vendor_ids != after.vendor_ids:
        found.append(f"the vendor's events: {before.vendor} became {after.vendor}")
    return found


def _rows(cursor: SnowflakeCursor, table: str) -> Counter[tuple[str, ...]]:
    cursor.execute(f"SELECT {_COLUMNS.get(table, '*')} FROM ANALYTICS.{table}")  # noqa: S608 - names from above
    return Counter(tuple(repr(value) for value in row) for row in cursor.fetchall())
