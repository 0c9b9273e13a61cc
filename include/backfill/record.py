"""The record of a backfill: one row of CONTROL.BACKFILLS per run and hour, with what was there before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

import msgspec

from include.backfill.wish import Wish
from include.errors import PipelineError
from include.lake import Lake, sealed
from include.manifest import dates_of
from include.statements import statement
from include.warehouse import Warehouse, naive


class Run(msgspec.Struct, frozen=True):
    """The Airflow run that does it; one that is repeated keeps its id and begins at another time."""

    run_id: str
    started_at: datetime
    hour: datetime


class Counts(msgspec.Struct, frozen=True):
    """Rows of some batches in the warehouse."""

    events: int
    failed: int


@contextmanager
def recorded(
    lake: Lake, warehouse: Warehouse, run: Run, wish: Wish, sequences: Sequence[int]
) -> Iterator[dict[str, int]]:
    """Write the row before the block and complete it after; the block puts what it did into the yielded mapping."""
    key = {"run_id": run.run_id, "run_started_at": naive(run.started_at), "hour": naive(run.hour)}
    before = counts(lake, warehouse, sequences)
    asked = {
        "mode": wish.mode,
        "reason": wish.reason,
        "requested_by": wish.requested_by or "unknown",
        "publish": wish.publish,
    }
    warehouse.run(statement("backfill/record", "begin"), {**key, **asked, **_values(before)}, "writing BACKFILLS")
    done: dict[str, int] = {}
    try:
        yield done
    except BaseException as error:
        with suppress(PipelineError):  # the error itself says more than a second one about its record
            after = counts(lake, warehouse, sequences)
            _end(warehouse, key, after, "failed", {"error": f"{type(error).__name__}: {error}"[:2000]})
        raise
    _end(warehouse, key, counts(lake, warehouse, sequences), "done", done)


def counts(lake: Lake, warehouse: Warehouse, sequences: Sequence[int]) -> Counts:
    """Count the rows that these plans' batches have in EVENTS and FAILED_EVENTS."""
    manifests = list(sealed(lake, sequences))
    dates = dates_of(manifests)
    batches = {"batches": [manifest.plan.plan_id for manifest in manifests]}
    if not manifests:
        return Counts(0, 0)
    events = 0
    if dates:
        sql = statement("backfill/record", "events", dates)
        events = int(warehouse.run(sql, batches, "counting the hour in EVENTS")[0][0])
    failed = warehouse.run(statement("backfill/record", "failed"), batches, "counting the hour in FAILED_EVENTS")
    return Counts(events, int(failed[0][0]))


def _end(warehouse: Warehouse, key: dict[str, object], after: Counts, state: str, detail: object) -> None:
    values = {**key, **_values(after), "state": state, "detail": msgspec.json.encode(detail).decode()}
    warehouse.run(statement("backfill/record", "end"), values, "completing BACKFILLS")


def _values(found: Counts) -> dict[str, int]:
    return {"events": found.events, "failed": found.failed}
