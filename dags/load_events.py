"""### load_events: from sealed files to `EVENTS` and `FAILED_EVENTS`, whenever something was sealed.

**What it does.** `load` takes everything that is sealed and not in the ledger `CONTROL.LOADS`, oldest first: COPY to a
landing table, then MERGE, ledger and outbox in one transaction. `commit_offsets` commits what is loaded to Kafka, so
that lag tools show the truth; nothing reads it back.

**If it fails.** Nothing to do for a warehouse that was away: the next run takes everything. `TerminalError` names the
batch whose files and manifest differ (see docs/runbooks/load-differs.md); `SetupError` names the grant or key (see
docs/runbooks/warehouse-refused.md). Nothing loaded for long: see docs/runbooks/not-loaded.md.

**How to backfill.** Run a backfill of `settle_hour`: it loads what its hours miss. Running this DAG again never loads
anything twice.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from pipeline_common import (
    DEFAULT_ARGS,
    LAKE_SEALED,
    LOADER_POOL,
    START,
    WAREHOUSE_LOADED,
    kafka,
    lake,
    settings,
    warehouse,
)


@dag(
    schedule=[LAKE_SEALED],
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["pipeline", "lake", "snowflake"],
    doc_md=__doc__,
)
def load_events() -> None:
    """Wire the two steps."""

    @task(pool=LOADER_POOL, outlets=[WAREHOUSE_LOADED])
    def load() -> dict[str, int]:
        from include import loading

        with lake() as opened, warehouse() as connected:
            return loading.load_sealed(opened, connected, settings())

    @task
    def commit_offsets() -> None:
        from include import loading

        with lake() as opened, warehouse() as connected:
            loading.commit_loaded(opened, connected, kafka(), settings())

    load() >> commit_offsets()


load_events()
