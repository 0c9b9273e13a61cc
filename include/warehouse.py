"""Snowflake: copy to a landing table, merge, and the ledger in one transaction; its errors become ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import msgspec
from snowflake.connector.connection import SnowflakeConnection
from snowflake.connector.errors import DatabaseError, Error, InterfaceError, OperationalError

from include.errors import PipelineError, SetupError, TerminalError, TransientError
from include.manifest import Manifest, StagedFile, dates_of
from include.statements import statement

log = logging.getLogger(__name__)

_SETUP = {
    606: "no warehouse is in use",
    2003: "an object does not exist or is not granted",
    3001: "privileges are missing",
    390100: "user or password is wrong",
    390144: "the key pair is wrong",
    390189: "the role is not granted",
}
_BUSY = {
    604: "cancelled",
    625: "the lock was not released in time",
    630: "timed out",
    635: "another transaction holds the lock",
    390114: "the session expired",
}


def warehouse_error(error: Error, doing: str) -> PipelineError:
    """Map the connector's error to ours by its number (Snowflake's documented error codes)."""
    number = abs(error.errno or 0)
    text = f"Snowflake failed at {doing} (error {number}, query {error.sfqid}): {str(error.raw_msg or error.msg)[:300]}"
    if number in _SETUP:
        return SetupError(f"{text}; {_SETUP[number]}; see docs/runbooks/warehouse-refused.md")
    if number in _BUSY or isinstance(error, OperationalError | InterfaceError) or not isinstance(error, DatabaseError):
        return TransientError(text)
    return TerminalError(text)


def opened(connect: Callable[[], SnowflakeConnection]) -> SnowflakeConnection:
    """Return `connect()`; its errors become ours."""
    try:
        return connect()
    except Error as error:
        raise warehouse_error(error, "connecting") from error


class Warehouse:
    """One connection to the warehouse, as the pipeline speaks to it."""

    def __init__(self, connection: SnowflakeConnection) -> None:
        """Take an open connection whose database is the pipeline's."""
        self.connection = connection

    def run(self, sql: str, values: Mapping[str, Any] | None = None, doing: str = "a query") -> list[tuple[Any, ...]]:
        """Execute one statement and return its rows; raises our errors."""
        try:
            with self.connection.cursor() as cursor:
                return [tuple(row) for row in cursor.execute(sql, values).fetchall()]  # type: ignore[union-attr, arg-type]
        except Error as error:
            raise warehouse_error(error, doing) from error

    def insert(self, sql: str, rows: Sequence[Mapping[str, Any]], doing: str) -> None:
        """Execute one INSERT for many rows."""
        if not rows:
            return
        try:
            with self.connection.cursor() as cursor:
                cursor.executemany(sql, rows)
        except Error as error:
            raise warehouse_error(error, doing) from error

    @contextmanager
    def transaction(self, writer: str, holder: str) -> Iterator[datetime]:
        """Run a block as one transaction of a serialised writer; yields the transaction's time, UTC.

        The writer's lock row is updated first, so a second writer waits or fails, and sees what the first committed.
        """
        self.run("BEGIN", doing="BEGIN")
        try:
            taken = self.run(
                statement("load/ledger", "take_lock"), {"writer": writer, "holder": holder}, f"locking {writer}"
            )
            if taken[0][0] != 1:
                raise SetupError(
                    f"CONTROL.WRITER_LOCKS has no row for {writer!r}: apply the migrations, "
                    "see docs/runbooks/warehouse-refused.md"
                )
            yield self.run(statement("load/ledger", "now"))[0][0]
            self.run("COMMIT", doing="COMMIT")
        except BaseException:
            with suppress(PipelineError):
                self.run("ROLLBACK", doing="ROLLBACK")
            raise


def missing_sequences(warehouse: Warehouse, topic: str, latest: int) -> list[int]:
    """Return the numbers of the plans up to `latest` that the ledger does not have, oldest first."""
    first = int(warehouse.run(statement("load/ledger", "first_missing"), {"topic": topic}, "reading LOADS")[0][0])
    values = {"topic": topic, "from_sequence": first}
    loaded = {int(row[0]) for row in warehouse.run(statement("load/ledger", "loaded"), values, "reading LOADS")}
    return [sequence for sequence in range(first, latest + 1) if sequence not in loaded]


def present(warehouse: Warehouse, manifests: Sequence[Manifest]) -> list[str]:
    """Return which of these batches have rows in EVENTS."""
    dates = dates_of(manifests)
    if not dates:
        return []
    values = {"batches": [manifest.plan.plan_id for manifest in manifests]}
    rows = warehouse.run(statement("load/merge", "present", dates), values, "looking for batches in EVENTS")
    return sorted(str(row[0]) for row in rows)


class LoadKind(msgspec.Struct, frozen=True):
    """How a load differs: only what the ledger does not have, or again; with or without rows in the outbox."""

    name: Literal["load", "reload", "restate"] = "load"
    offers: bool = True
    replaced: tuple[Manifest, ...] = ()
    """What the batches consisted of before: their rows go in the same transaction."""


_FIRST = LoadKind()


def load(warehouse: Warehouse, manifests: Sequence[Manifest], kind: LoadKind = _FIRST) -> dict[str, int]:
    """Load sealed plans in one transaction, and return the totals of the ledger rows.

    Safe to run again and to run twice at once: what the ledger has by then is left out, and an ambiguous commit is
    answered by the ledger at the next attempt.

    Raises:
        TerminalError: the landing table does not hold what the manifests say.
        TransientError: the warehouse is away or busy.

    """
    attempt = uuid4().hex[:8].upper()
    events, failed = f"L_{attempt}_EVENTS", f"L_{attempt}_FAILED"
    try:
        land(warehouse, events, "EVENTS_TEMPLATE", manifests, "events")
        land(warehouse, failed, "FAILED_TEMPLATE", manifests, "failed")
        tables = {"table": events, "failed_table": failed}
        warehouse.run(statement("load/merge", "unparsed", **tables), doing="setting unparsable JSON aside")
        return _merge(warehouse, events, failed, manifests, kind)
    finally:
        for table in (events, failed):
            with suppress(PipelineError):
                warehouse.run(statement("load/landing", "drop", table=table), doing=f"dropping {table}")


def sweep_landing(warehouse: Warehouse) -> int:
    """Drop landing tables that killed loads left behind, after a day; returns how many."""
    leftovers = [str(row[0]) for row in warehouse.run(statement("load/landing", "leftovers"), doing="listing LANDING")]
    for table in leftovers:
        warehouse.run(statement("load/landing", "drop", table=table), doing=f"dropping {table}")
    return len(leftovers)


def land(warehouse: Warehouse, table: str, template: str, manifests: Sequence[Manifest], kind: str) -> None:
    """Copy the manifests' files of one kind to a fresh landing table; TerminalError when its rows are not theirs."""
    files = [file for manifest in manifests for file in manifest.files if file.kind == kind]
    batches = ", ".join(manifest.plan.plan_id for manifest in manifests)
    land_files(warehouse, table, template, files, f"{kind} for {batches}")


def land_files(warehouse: Warehouse, table: str, template: str, files: Sequence[StagedFile], of: str) -> None:
    """Copy files to a fresh landing table; TerminalError when its rows are not those that were staged."""
    warehouse.run(statement("load/landing", "create", table=table, template=template), doing=f"creating {table}")
    if not files:
        return
    names = {"files": [file.name for file in files]}
    warehouse.run(statement("load/landing", "copy", table=table), names, f"COPY of {len(files)} files")
    landed = int(warehouse.run(statement("load/landing", "count", table=table), doing=f"counting {table}")[0][0])
    expected = sum(file.rows for file in files)
    if landed != expected:
        raise TerminalError(
            f"COPY of {of} landed {landed} rows, {expected} were staged; see docs/runbooks/load-differs.md"
        )


def _merge(
    warehouse: Warehouse, events: str, failed: str, manifests: Sequence[Manifest], kind: LoadKind
) -> dict[str, int]:
    load_id = f"{manifests[0].plan.plan_id}+{len(manifests)}-{events[2:10]}"
    dates = dates_of(manifests)
    with warehouse.transaction("load", load_id) as loaded_at:
        if kind.name == "load":
            _require_unloaded(warehouse, manifests)
        _forget(warehouse, kind.replaced)
        values = {"loaded_at": loaded_at, "load_id": load_id, "kind": kind.name}
        if dates:
            warehouse.run(statement("load/merge", "events", dates, table=events), values, "MERGE into EVENTS")
        warehouse.run(statement("load/merge", "failed", table=failed), values, "MERGE into FAILED_EVENTS")
        rows = _ledger_rows(warehouse, manifests, dates, values)
        warehouse.insert(statement("load/ledger", "insert"), rows, "writing LOADS")
        if dates and kind.offers:
            warehouse.run(statement("load/merge", "outbox", dates), values, "writing OUTBOX")
    totals = ("rows_staged", "rows_inserted", "failed_staged", "failed_inserted", "unparsed")
    return {name: sum(int(row[name]) for row in rows) for name in totals}


def _forget(warehouse: Warehouse, replaced: Sequence[Manifest]) -> None:
    """Take the rows of batches out of EVENTS, those that a re-drive brought included, and out of FAILED_EVENTS."""
    if not replaced:
        return
    plans = sorted({manifest.plan.plan_id for manifest in replaced})
    redriven = warehouse.run(statement("load/twins", "resolved_dates"), {"plans": plans}, "reading FAILED_EVENTS")
    dates = dates_of(replaced) | {str(row[0]) for row in redriven}
    if dates:
        sql = statement("load/merge", "forget", dates)
        warehouse.run(sql, {"batches": plans}, "taking the batches out of EVENTS")
    sql = statement("load/merge", "forget_failed")
    warehouse.run(sql, {"batches": plans}, "taking the batches out of FAILED_EVENTS")


def _require_unloaded(warehouse: Warehouse, manifests: Sequence[Manifest]) -> None:
    sequences = {manifest.plan.sequence for manifest in manifests}
    missing = missing_sequences(warehouse, manifests[0].plan.topic, max(sequences))
    if loaded := sequences - set(missing):
        raise TransientError(f"another load brought plans {sorted(loaded)} in the meantime: run again for the rest")


def _ledger_rows(
    warehouse: Warehouse, manifests: Sequence[Manifest], dates: set[str], values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    inserted, failed = {}, {}
    if dates:
        counted = warehouse.run(statement("load/merge", "inserted", dates), values, "counting new events")
        inserted = {batch: int(count) for batch, count in counted}
    again = _loaded_before(warehouse, manifests, inserted) if values["kind"] == "load" else set()
    counted = warehouse.run(statement("load/merge", "failed_inserted"), values, "counting new failed events")
    failed = {batch: (int(count), int(unparsed)) for batch, count, unparsed in counted}
    return [
        {
            "topic": manifest.plan.topic,
            "sequence": manifest.plan.sequence,
            "batch_id": manifest.plan.plan_id,
            "load_id": values["load_id"],
            "kind": "recovered" if manifest.plan.plan_id in again else values["kind"],
            "contract_version": manifest.plan.contract_version,
            "interval_start": naive(manifest.plan.interval_start),
            "interval_end": naive(manifest.plan.interval_end),
            "envelopes": manifest.envelopes,
            "announced": manifest.announced,
            "rows_staged": manifest.rows,
            "rows_inserted": inserted.get(manifest.plan.plan_id, 0),
            "failed_staged": manifest.failed,
            "failed_inserted": failed.get(manifest.plan.plan_id, (0, 0))[0],
            "unparsed": failed.get(manifest.plan.plan_id, (0, 0))[1],
            "loaded_at": values["loaded_at"],
        }
        for manifest in manifests
    ]


def _loaded_before(warehouse: Warehouse, manifests: Sequence[Manifest], inserted: Mapping[str, int]) -> set[str]:
    """Return the batches that were in EVENTS though the ledger did not know them: somebody deleted their rows of it."""
    suspects = [manifest for manifest in manifests if manifest.rows and not inserted.get(manifest.plan.plan_id)]
    again = set(present(warehouse, suspects))
    if again:
        log.error(
            "%s were in EVENTS and not in CONTROL.LOADS: somebody deleted these rows of the ledger; they are loaded "
            "again, and nothing is twice; see docs/runbooks/lake-to-ledger.md",
            ", ".join(sorted(again)),
        )
    return again


def naive(moment: datetime) -> datetime:
    """Return UTC without a zone, as TIMESTAMP_NTZ holds it."""
    return moment.astimezone(UTC).replace(tzinfo=None)
