"""### settle_hour: prove an hour complete, heal what is not, reconcile it from client to vendor.

**What it does.** `coverage` waits until the chain of plans has passed the hour and proves that it has no hole, `repair`
drains, seals and loads whatever the hour's own runs left undone, `reconcile` compares counts and ids hop by hop and
stores one row per hop in `CONTROL.RECONCILIATION`.

**If it fails.** The message of `reconcile` names hop, numbers, an example id and the hop's page in docs/runbooks/.
`coverage` failing means that `stage_events` does not run (see docs/runbooks/stage-events-not-running.md), or that
somebody changed the chain (see docs/runbooks/chain-hole.md).

**How to backfill.** `make backfill`, or the button and its form. `mode`: **check** (the default) writes nothing and
says what each mode would do; **heal** drains, seals and loads what is missing; **reload** copies the sealed files again
and inserts what `EVENTS` does not have; **restate** derives the rows again under the current contract version and
replaces them; **redrive** judges failed events again. All but check need a `reason`; nothing reaches a vendor unless
`publish` is set. Every hour of it is a row of `CONTROL.BACKFILLS`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, Param, dag, task

from pipeline_common import (
    DEFAULT_ARGS,
    LOADER_POOL,
    START,
    amplitude,
    asked,
    interval,
    kafka,
    known_sources,
    lake,
    settings,
    this_run,
    warehouse,
)

PARAMS = {
    "mode": Param(
        "check",
        enum=["check", "heal", "reload", "restate", "redrive"],
        description="check writes nothing and says what each mode would do; hourly runs always heal",
    ),
    "reason": Param(None, type=["null", "string"], description="Why; needed by every mode but check, and kept"),
    "requested_by": Param(None, type=["null", "string"], description="Who asks, where Airflow does not know it"),
    "publish": Param(default=False, type="boolean", description="Offer to vendors what they were not offered yet"),
    "occurred_from": Param(
        None,
        type=["null", "string"],
        format="date",
        description="Only batches with events that occurred from then on",
    ),
    "occurred_to": Param(None, type=["null", "string"], format="date", description="Up to this date, inclusive"),
}


def rehearses(_: Any) -> bool:  # noqa: ANN401 - Airflow passes its context
    """Tell whether this run writes nothing, so that there is nothing to reconcile."""
    wish = asked()
    return wish is not None and not wish.changes


@dag(
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=START,
    catchup=True,
    max_active_runs=2,
    params=PARAMS,
    default_args=DEFAULT_ARGS | {"retry_delay": timedelta(minutes=2)},
    tags=["pipeline", "settle"],
    doc_md=__doc__,
)
def settle_hour() -> None:
    """Wire the three steps."""

    @task
    def coverage() -> list[int]:
        from include import settling

        asked()  # wrong parameters fail before anything waits or works
        with lake() as opened:
            return settling.coverage(opened, interval())

    @task(pool=LOADER_POOL)
    def repair(sequences: list[int]) -> dict[str, int]:
        from include.backfill.repair import Hour

        with lake() as opened, warehouse() as connected:
            hour = Hour(opened, connected, kafka(), settings(), known_sources())
            return hour.repair(asked(), this_run(), sequences)

    @task.skip_if(rehearses)
    @task
    def reconcile(sequences: list[int]) -> dict[str, int]:
        from include import settling

        with lake() as opened, warehouse() as connected:
            hops = settling.settle(opened, connected, amplitude(), interval()[0], sequences)
            return {hop.name: hop.unexplained for hop in hops}

    covered = coverage()
    repair(covered) >> reconcile(covered)


settle_hour()
