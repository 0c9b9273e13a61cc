"""### publish_amplitude: from `EVENTS` to what Amplitude may see, whenever something was loaded.

**What it does.** `offer` writes allowed fields under pseudonyms to the insert-only outbox for every load that was not
offered yet, consent and suppressions checked, and advances the watermark of the view that Amplitude's importer polls.
`push` posts the same rows to the Batch API instead, when `PIPELINE_AMPLITUDE_MODE=push`.

**If it fails.** The warehouse is not affected, and the next run takes everything that is loaded and not published.
Pushing again is safe: the same `insert_id`s, and only what Amplitude has not answered for. See
docs/runbooks/amplitude-refused.md and docs/runbooks/warehouse-to-amplitude.md.

**How to backfill.** Nothing to do: running it again offers nothing twice.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import dag, task

from pipeline_common import DEFAULT_ARGS, PUBLISHER_POOL, START, WAREHOUSE_LOADED, amplitude, settings, warehouse


def gate_only(_: Any) -> bool:  # noqa: ANN401 - Airflow passes its context
    """Tell whether Amplitude imports by itself, so that nothing is pushed."""
    return os.environ.get("PIPELINE_AMPLITUDE_MODE") != "push"


@dag(
    schedule=[WAREHOUSE_LOADED],
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["pipeline", "snowflake", "amplitude"],
    doc_md=__doc__,
)
def publish_amplitude() -> None:
    """Wire the two steps."""

    @task(pool=PUBLISHER_POOL)
    def offer() -> int:
        from include import publishing

        with warehouse() as connected:
            return publishing.offer(connected, amplitude(), settings())

    @task.skip_if(gate_only)
    @task(pool=PUBLISHER_POOL)
    def push() -> dict[str, int]:
        from include import publishing

        with warehouse() as connected:
            return publishing.push(connected, amplitude(), settings())

    offer() >> push()


publish_amplitude()
