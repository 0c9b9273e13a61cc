"""The one Airflow-aware shared module: assets, default arguments, retry policy, and connections made into clients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Asset, Connection, ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from snowflake.connector.connection import SnowflakeConnection

    from include.backfill.record import Run
    from include.backfill.wish import Wish
    from include.destinations.amplitude import Amplitude
    from include.lake import Lake
    from include.settings import PipelineSettings
    from include.warehouse import Warehouse

LAKE_SEALED = Asset("lake_sealed")
WAREHOUSE_LOADED = Asset("warehouse_loaded")

# Pools of one slot, so that a backfill and the live run never do the same thing at once; `deploy/airflow/pools.json`.
PLANNER_POOL = "planner"
LOADER_POOL = "loader"
PUBLISHER_POOL = "publish_amplitude"

START = datetime.fromisoformat(os.environ.get("PIPELINE_START_DATE") or "2026-01-01").replace(tzinfo=UTC)
"""First hour that settle_hour catches up from; everything else begins where the chain of plans ends."""

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule("include.errors.SetupError", RetryAction.FAIL, reason="a human must act: see the message"),
        RetryRule("include.errors.TerminalError", RetryAction.FAIL, reason="retrying cannot help"),
        RetryRule("include.errors.TransientError", RetryAction.RETRY, timedelta(seconds=10), "a part is away or busy"),
    ]
)
DEFAULT_ARGS: dict[str, Any] = {
    "owner": "data-platform",
    "retries": 5,
    "retry_delay": timedelta(seconds=20),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(minutes=30),
}


def interval() -> tuple[datetime, datetime]:
    """Return the data interval [t0, t1) of the running task, as plain datetimes."""
    context = get_current_context()
    bounds = (context.get("data_interval_start"), context.get("data_interval_end"))
    if None in bounds:
        from include.errors import SetupError

        raise SetupError(
            "this run has no data interval: give it one with `airflow dags trigger --logical-date …`, or run a "
            "backfill; see docs/runbooks/settings.md"
        )
    start, end = (datetime.fromtimestamp(cast("datetime", moment).timestamp(), UTC) for moment in bounds)
    return start, end


def asked() -> Wish | None:
    """Return what a backfill or a run by hand asks settle_hour for; None for an ordinary hourly run."""
    from include.backfill.wish import wish

    context = get_current_context()
    run, parameters = context["dag_run"], dict(context["params"])
    if run.run_type == "scheduled":
        return None
    parameters["requested_by"] = parameters.get("requested_by") or run.triggering_user_name
    return wish(parameters)


def this_run() -> Run:
    """Return the running run, by the hour that it settles."""
    from include.backfill.record import Run

    run = get_current_context()["dag_run"]
    return Run(run.run_id, run.start_date or run.run_after, interval()[0])


def settings() -> PipelineSettings:
    """Return the `PIPELINE_*` settings."""
    from include.settings import pipeline_settings

    return pipeline_settings()


def known_sources() -> list[str]:
    """Return the ids of the registry's sources."""
    from pathlib import Path

    from include.contract.sources import load

    return sorted(load(Path(settings().sources_file)).sources)


def kafka() -> dict[str, Any]:
    """Return the librdkafka properties of connection `kafka_events`."""
    return dict(Connection.get("kafka_events").extra_dejson)


def checked_kafka() -> dict[str, Any]:
    """Return the same after checking that the topic keeps what the API promises; SetupError says what differs."""
    from confluent_kafka.admin import AdminClient

    from include.contract.kafka_settings import TOPIC_PREFIX, TopicSettings
    from include.contract.settings import load
    from include.contract.topic_spec import TopicSpec, check

    properties = kafka()
    spec = TopicSpec.of(settings().kafka_topic, load(TopicSettings, TOPIC_PREFIX, os.environ))
    check(AdminClient(properties), spec)
    return properties


@contextmanager
def lake() -> Iterator[Lake]:
    """Open the lake of connection `lake` through Airflow's Azure provider."""
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    from include.lake import Lake

    with WasbHook("lake").get_conn() as service:
        yield Lake(service.get_container_client(settings().lake_container), settings().kafka_topic)


@contextmanager
def data_docs() -> Iterator[ContainerClient]:
    """Open the container of the Data Docs site, beside the lake."""
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    with WasbHook("lake").get_conn() as service:
        yield service.get_container_client(settings().data_docs_container)


@contextmanager
def warehouse() -> Iterator[Warehouse]:
    """Open the warehouse of connection `warehouse` through Airflow's Snowflake provider."""
    from contextlib import closing

    from include.warehouse import Warehouse, opened

    with closing(opened(_snowflake)) as connection:
        yield Warehouse(connection)


def _snowflake() -> SnowflakeConnection:
    """Connect with the hook's parameters and with those of `extra` that it leaves out (provider 6.20)."""
    import snowflake.connector
    from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

    hook = SnowflakeHook("warehouse")
    extra = hook.get_connection("warehouse").extra_dejson
    left_out = {name: extra[name] for name in ("protocol", "login_timeout", "network_timeout") if name in extra}
    # Without these two a warehouse that does not answer would hold a task until its execution timeout.
    timeouts = {"login_timeout": 20, "network_timeout": 300}
    return snowflake.connector.connect(**hook._get_conn_params() | timeouts | left_out)  # noqa: SLF001


def amplitude() -> Amplitude:
    """Return the vendor of connection `amplitude`: host, API key as login, secret key as password."""
    from include.destinations.amplitude import Amplitude

    found = Connection.get("amplitude")
    return Amplitude(found.host or "", found.login or "", found.password or "")
