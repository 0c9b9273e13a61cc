"""### document_quality: Great Expectations' Data Docs of the newest intervals, whenever something was sealed.

**What it does.** `publish` renders the validation results that `stage_events` keeps in the lake as GX's own pages and
uploads them to the container `PIPELINE_DATA_DOCS_CONTAINER`. Nothing in the pipeline reads them.

**If it fails.** The pages are older than the lake until the next run; no event is affected. If the pages are red: see
docs/runbooks/odd-interval.md.

**How to backfill.** Nothing to do: each run takes the newest intervals.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from pipeline_common import DEFAULT_ARGS, LAKE_SEALED, START, data_docs, lake


@dag(
    schedule=[LAKE_SEALED],
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["quality", "lake"],
    doc_md=__doc__,
)
def document_quality() -> None:
    """Wire the one step."""

    @task(priority_weight=0, weight_rule="absolute")
    def publish() -> int:
        from include.data_docs import publish_site

        with lake() as opened, data_docs() as site:
            return publish_site(opened, site)

    publish()


document_quality()
