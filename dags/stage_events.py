"""### stage_events: from Kafka to sealed files in the lake, one run per interval.

**What it does.** `plan` freezes the interval's offset ranges (a chain without holes), `drain` reads each range, lets
Great Expectations judge every row and writes one Parquet file of valid and one of failed events, `seal` writes the
manifest. Nothing exists for anybody before its manifest.

**If it fails.** Clear the failed task: every step finds what it did before and leaves it alone. Nothing is lost while
it is down: the next run takes everything since the last plan. `SetupError` names the setting or grant to repair;
`DataGapError` says which offsets Kafka has lost: see docs/runbooks/gap.md. All pages: docs/runbooks/README.md.

**How to backfill.** Not here: run a backfill of `settle_hour` over the range. A run for an interval that the chain has
passed finds its old plans, or nothing, and changes nothing.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, dag, task

from pipeline_common import (
    DEFAULT_ARGS,
    LAKE_SEALED,
    PLANNER_POOL,
    START,
    checked_kafka,
    interval,
    kafka,
    known_sources,
    lake,
    settings,
)


@dag(
    schedule=CronDataIntervalTimetable(os.environ.get("PIPELINE_STAGE_CRON") or "*/5 * * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULT_ARGS,
    dagrun_timeout=timedelta(hours=2),
    tags=["pipeline", "kafka", "lake"],
    doc_md=__doc__,
)
def stage_events() -> None:
    """Wire the three steps."""

    @task(pool=PLANNER_POOL)
    def plan() -> list[dict[str, Any]]:
        from include import staging

        with lake() as opened:
            return staging.plan_work(opened, checked_kafka(), settings(), interval())

    @task
    def drain(work: dict[str, Any]) -> int:
        from include import staging

        with lake() as opened:
            return staging.drain_partitions(opened, kafka(), settings(), known_sources(), **work)

    @task(outlets=[LAKE_SEALED], trigger_rule="none_failed")
    def seal(planned: list[dict[str, Any]]) -> list[str]:
        from include import sealing

        with lake() as opened:
            return sealing.seal_plans(opened, [work["sequence"] for work in planned])

    planned = plan()
    drain.expand(work=planned) >> seal(planned)


stage_events()
