"""### settle_hour: prove an hour complete, heal what is not, reconcile it from client to vendor.

**What it does.** `coverage` waits until the chain of plans has passed the hour and proves that it has no hole, `heal`
drains, seals and loads whatever the hour's own runs left undone, `reconcile` compares counts and ids hop by hop and
stores one row per hop in `CONTROL.RECONCILIATION`.

**If it fails.** The message of `reconcile` names hop, numbers and an example id. `coverage` failing means that
`stage_events` does not run.

**How to backfill.** `airflow backfill create --dag-id settle_hour --from-date … --to-date …`, or the button: an hour
that is whole changes no file and no row of events; its reconciliation is taken again.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronDataIntervalTimetable, dag, task

from pipeline_common import (
    DEFAULT_ARGS,
    LOADER_POOL,
    START,
    amplitude,
    interval,
    kafka,
    known_sources,
    lake,
    settings,
    warehouse,
)


@dag(
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=START,
    catchup=True,
    max_active_runs=2,
    default_args=DEFAULT_ARGS | {"retry_delay": timedelta(minutes=2)},
    tags=["pipeline", "settle"],
    doc_md=__doc__,
)
def settle_hour() -> None:
    """Wire the three steps."""

    @task
    def coverage() -> list[int]:
        from include import settling

        with lake() as opened:
            return settling.coverage(opened, interval())

    @task(pool=LOADER_POOL)
    def heal(sequences: list[int]) -> dict[str, int]:
        from include import settling

        with lake() as opened, warehouse() as connected:
            return settling.heal(opened, connected, kafka(), settings(), known_sources(), sequences)

    @task
    def reconcile(sequences: list[int]) -> dict[str, int]:
        from include import settling

        with lake() as opened, warehouse() as connected:
            hops = settling.settle(opened, connected, amplitude(), settings(), interval()[0], sequences)
            return {hop.name: hop.unexplained for hop in hops}

    covered = coverage()
    heal(covered) >> reconcile(covered)


settle_hour()
