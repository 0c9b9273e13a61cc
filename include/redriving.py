"""Re-drive of failed events after a fix: what is valid today goes to EVENTS once, at its own place in Kafka."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from include.contract.event import CONTRACT_VERSION
from include.errors import PipelineError
from include.failures import FAILED_SCHEMA
from include.lake import Lake
from include.manifest import StagedFile
from include.rejudging import FailedRow, Verdict, judge
from include.settings import PipelineSettings
from include.statements import statement
from include.twins import close_twins, grouped
from include.warehouse import Warehouse, land_files

log = logging.getLogger(__name__)
RESULTS = ("looked_at", "redriven", "twin", "still_failed", "without_envelope", "not_client_bytes", "damaged", "events")
"""What a redrive counts.

`looked_at` open failed rows are now `redriven`, or closed by a good `twin` that was there; or they stay open:
`still_failed` today's suite; `without_envelope`, loaded before it was kept; `not_client_bytes`, whose JSON the
warehouse could not parse; `damaged`, which do not hold what was written. `events` are new in EVENTS.
"""
_WHOLE_SHARE = 16
"""A whole envelope is still compressed: so much less of them is held at once."""


def redrive(
    lake: Lake,
    warehouse: Warehouse,
    settings: PipelineSettings,
    known_sources: Sequence[str],
    plan_ids: Sequence[str],
) -> dict[str, int]:
    """Judge the open failed rows of these plans again and bring what is valid to EVENTS; returns RESULTS.

    Safe to run again and to run twice at once: rows are resolved in the transaction that merges their events. Nothing
    is published here.

    Raises:
        TerminalError: the landing table does not hold what was staged.
        TransientError: the lake or the warehouse is away or busy; what was committed is done.

    """
    totals: Counter[str] = Counter(dict.fromkeys(RESULTS, 0))
    for plans in grouped(sorted(set(plan_ids)), settings.load_max_files):
        totals["twin"] += (twins := close_twins(warehouse, plans)["closed"])
        totals["looked_at"] += twins
        totals.update(_left_out(warehouse, plans))
        for whole in (False, True):
            for rows in _pages(warehouse, settings, plans, whole=whole):
                verdict = judge(rows, known_sources)
                totals.update({"looked_at": len(rows), **verdict.counts})
                if verdict.events.num_rows or verdict.opened:
                    totals.update(_bring(lake, warehouse, plans, verdict, whole=whole))
    log.info("redrive of %d plans: %s; see docs/runbooks/failed-events.md", len(plan_ids), dict(totals))
    return dict(totals)


def _left_out(warehouse: Warehouse, plans: Sequence[str]) -> dict[str, int]:
    """Count the open rows that cannot be judged again because nothing of their envelope was kept."""
    counted = warehouse.run(statement("load/redrive", "left_out"), {"plans": plans}, "counting FAILED_EVENTS")
    rows, unparsed = (int(count) for count in counted[0])
    return {"looked_at": rows, "without_envelope": rows - unparsed, "not_client_bytes": unparsed}


def _pages(
    warehouse: Warehouse, settings: PipelineSettings, plans: Sequence[str], *, whole: bool
) -> Iterator[list[FailedRow]]:
    """Yield the open rows in order of their place, as many at once as a chunk of the drain may hold."""
    share = _WHOLE_SHARE if whole else 1
    values = {
        "plans": plans,
        "whole": int(whole),
        "rows": -(-settings.chunk_max_events // share),
        "bytes": -(-settings.chunk_max_bytes // share),
        "after": "",
    }
    while True:
        found = warehouse.run(statement("load/redrive", "open"), values, "reading FAILED_EVENTS")
        if not found:
            return
        yield [FailedRow(*row)._replace(raw=bytes(row[FailedRow._fields.index("raw")])) for row in found]
        values["after"] = found[-1][0]


def _bring(lake: Lake, warehouse: Warehouse, plans: Sequence[str], verdict: Verdict, *, whole: bool) -> dict[str, int]:
    """Stage what is valid, land it, and merge it and resolve its rows in one transaction."""
    attempt = uuid4().hex[:8].upper()
    tables = {"table": f"L_{attempt}_EVENTS", "failed_table": f"L_{attempt}_FAILED"}
    failed = pa.Table.from_pylist(verdict.failed, schema=FAILED_SCHEMA)
    of = f"a redrive of {plans[0]} .. {plans[-1]}"
    try:
        files = _staged(lake, "events", verdict.events)
        failed_files = _staged(lake, "failed", failed)
        land_files(warehouse, tables["table"], "EVENTS_TEMPLATE", files, f"events for {of}")
        land_files(warehouse, tables["failed_table"], "FAILED_TEMPLATE", failed_files, f"failed for {of}")
        if whole:
            warehouse.run(statement("load/merge", "unparsed", **tables), doing="setting unparsable JSON aside")
        dates = {date for file in files for date in file.occurred_on}
        values = {"plans": plans, "whole": int(whole), "records": [row.record for row in verdict.opened]}
        return _merged(warehouse, tables, dates, values, attempt)
    finally:
        for table in tables.values():
            with suppress(PipelineError):
                warehouse.run(statement("load/landing", "drop", table=table), doing=f"dropping {table}")


def _merged(
    warehouse: Warehouse, tables: Mapping[str, str], dates: set[str], values: dict[str, Any], attempt: str
) -> dict[str, int]:
    table, failed = tables["table"], tables["failed_table"]
    with warehouse.transaction("load", f"redrive-{attempt}") as loaded_at:
        values = values | {"loaded_at": loaded_at}
        landed = _left_of(warehouse, table, values)
        _left_of(warehouse, failed, values)
        if dates:
            warehouse.run(statement("load/merge", "events", dates, table=table), values, "MERGE into EVENTS")
        if values["whole"]:
            warehouse.run(statement("load/merge", "failed", table=failed), values, "MERGE into FAILED_EVENTS")
            warehouse.run(statement("load/redrive", "resolve_whole"), values, "resolving whole envelopes")
        else:
            warehouse.run(statement("load/redrive", "resolve", dates, table=table), values, "resolving failed events")
        return _counted(warehouse, dates, values, landed)


def _left_of(warehouse: Warehouse, table: str, values: Mapping[str, Any]) -> int:
    """Take out of a landing table what another redrive resolved since it was read; returns what is left."""
    warehouse.run(statement("load/redrive", "forget_resolved", table=table), values, "leaving resolved rows alone")
    return int(warehouse.run(statement("load/landing", "count", table=table), doing=f"counting {table}")[0][0])


def _counted(warehouse: Warehouse, dates: set[str], values: Mapping[str, Any], landed: int) -> dict[str, int]:
    found = warehouse.run(statement("load/redrive", "resolved"), values, "counting resolved events")
    counts = {str(resolution): int(count) for resolution, count in found}
    if dates:
        inserted = warehouse.run(statement("load/merge", "inserted", dates), values, "counting new events")
        counts["events"] = sum(int(count) for _, count in inserted)
    if not values["whole"]:  # valid, and the warehouse cannot parse its JSON
        counts["still_failed"] = landed - counts.get("redriven", 0) - counts.get("twin", 0)
    return counts


def _staged(lake: Lake, kind: str, table: pa.Table) -> list[StagedFile]:
    """Write a file per plan; its name has the hash of its rows, so that a rerun writes what is there."""
    return [
        _file(lake, kind, plan_id, table.filter(pc.equal(table["batch_id"].cast(pa.string()), plan_id)))
        for plan_id in sorted(pc.unique(table["batch_id"].cast(pa.string())).to_pylist())
    ]


def _file(lake: Lake, kind: str, plan_id: str, rows: pa.Table) -> StagedFile:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows.unify_dictionaries().combine_chunks())
    digest = sha256(sink.getvalue()).hexdigest()[:32]
    writer = lake.parquet(f"{kind}/v{CONTRACT_VERSION}/redrive/{plan_id}/{digest}.parquet")
    writer.write(rows)
    dates = pc.unique(rows["occurred_on"]).to_pylist() if kind == "events" else []
    file = writer.close(kind, 0, tuple(sorted(map(str, dates))))
    if file is None:
        raise ValueError(f"a file of {kind} for {plan_id} without rows")
    return file
