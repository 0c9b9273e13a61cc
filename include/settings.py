"""Settings of the pipeline, read from `PIPELINE_*` variables, for the DAGs and the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from include.contract.settings import load


class PipelineSettings(msgspec.Struct, frozen=True):
    """What differs between installations, connections aside."""

    sources_file: Annotated[str, Meta(description="JSON file of the sources whose events are known.")]
    pseudonym_key: Annotated[str, Meta(description="Hex key of the HMAC under which identifiers leave to a vendor.")]
    pseudonym_key_version: Annotated[int, Meta(ge=1, description="Version of that key, kept with every pseudonym.")] = 1
    kafka_topic: Annotated[str, Meta(description="Topic of the envelopes.")] = "events"
    lake_container: Annotated[str, Meta(description="Container (file system) of the lake.")] = "lake"
    start_date: Annotated[
        str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2})?\Z", description="First hour settle_hour catches up from.")
    ] = "2026-01-01"
    stage_cron: Annotated[str, Meta(description="Cron whose intervals stage_events runs on.")] = "*/5 * * * *"
    plan_max_envelopes: Annotated[int, Meta(ge=1, description="Most Kafka records in one plan.")] = 20_000
    plan_max_per_run: Annotated[int, Meta(ge=1, description="Most plans one run makes; the next run goes on.")] = 50
    plan_grace_seconds: Annotated[float, Meta(ge=0, description="Wait after the interval's end before planning.")] = 2.0
    drain_max_tasks: Annotated[int, Meta(ge=1, description="Most drain tasks of a run, or one for each plan.")] = 4
    drain_task_envelopes: Annotated[int, Meta(ge=1, description="Fewest records of a drain task.")] = 4_000
    chunk_max_events: Annotated[int, Meta(ge=1, description="Most events validated and written at once.")] = 100_000
    chunk_max_bytes: Annotated[int, Meta(ge=1, description="Most inflated bytes held at once.")] = 96_000_000
    load_max_files: Annotated[int, Meta(ge=1, le=1000, description="Most files in one COPY (Snowflake: 1,000).")] = 500
    amplitude_mode: Annotated[
        Literal["gate", "push"], Meta(description="gate: Amplitude imports our view; push: we post to its Batch API.")
    ] = "gate"
    amplitude_push_events: Annotated[int, Meta(ge=1, le=2000, description="Events per Batch request.")] = 1_000
    data_docs_container: Annotated[str, Meta(description="Container of the Data Docs site.")] = "datadocs"


def pipeline_settings(environ: Mapping[str, str] = os.environ) -> PipelineSettings:
    """Return the settings; raises SetupError naming the variable that is missing or wrong."""
    return load(PipelineSettings, "PIPELINE_", environ)
