"""Settings of the one-machine stack, read from `LOCAL_*` variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from include.contract.settings import load


class LocalSettings(msgspec.Struct, frozen=True):
    """What a user may choose about the stack."""

    state_dir: Annotated[str, Meta(description="Folder of all state of the stack; `make clean` deletes it.")] = ".local"
    ingest_port: Annotated[int, Meta(ge=1, le=65535, description="Port of the ingest API.")] = 8000
    airflow_port: Annotated[int, Meta(ge=1, le=65535, description="Port of Airflow's UI and API.")] = 8080
    snowflake_port: Annotated[int, Meta(ge=1, le=65535, description="Port of the Snowflake stand-in.")] = 8084
    amplitude_port: Annotated[int, Meta(ge=1, le=65535, description="Port of the Amplitude stand-in.")] = 8085
    kafka_port: Annotated[int, Meta(ge=1, le=65535, description="Port of the Kafka broker.")] = 9092
    kafka_controller_port: Annotated[int, Meta(ge=1, le=65535, description="Port of Kafka's controller.")] = 9093
    azurite_port: Annotated[int, Meta(ge=1, le=65535, description="Port of Azurite's blob endpoint.")] = 10000
    airflow_parallelism: Annotated[int, Meta(ge=1, description="Most tasks that Airflow runs at once.")] = 4
    amplitude_import_seconds: Annotated[
        float, Meta(ge=0, description="Seconds between imports of the Amplitude stand-in; 0 turns its importer off.")
    ] = 5.0
    amplitude_cursor: Annotated[
        Literal[">", ">="], Meta(description="How the importer compares the view's update time with the last one seen.")
    ] = ">"
    stage_cron: Annotated[
        str, Meta(description="Cron expression of the intervals of stage_events; one minute shows events soonest.")
    ] = "* * * * *"
    parts: Annotated[
        tuple[str, ...], Meta(description="Parts to run, comma separated, with what they need; empty: all of them.")
    ] = ()
    restart_limit: Annotated[int, Meta(ge=0, description="Times a dead part is started again before all stops.")] = 3


PORTS = tuple(field for field in LocalSettings.__struct_fields__ if field.endswith("_port"))


def local_settings(environ: Mapping[str, str] = os.environ) -> LocalSettings:
    """Return the settings; raises SetupError naming the variable that is wrong.

    Variables that a sourced `endpoints.env` added (keys, folders) are no settings and are passed over.
    """
    known = {"LOCAL_" + field.upper() for field in LocalSettings.__struct_fields__}
    return load(LocalSettings, "LOCAL_", {name: environ[name] for name in known & environ.keys()})


class RunSettings(msgspec.Struct, frozen=True):
    """What `make run` does beside starting the stack."""

    rate_events_per_second: Annotated[
        float,
        Meta(ge=0, le=20_000, description="Events that `make run` posts per second, mean of a day; 0: none."),
    ] = 200.0


def run_settings(environ: Mapping[str, str] = os.environ) -> RunSettings:
    """Return the settings; raises SetupError naming the variable that is wrong."""
    known = {"LOCAL_" + field.upper() for field in RunSettings.__struct_fields__}
    return load(RunSettings, "LOCAL_", {name: environ[name] for name in known & environ.keys()})
