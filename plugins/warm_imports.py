"""Imports heavy libraries once in the scheduler, so that tasks forked from it start with them (LocalExecutor only)."""

from __future__ import annotations

import gc
import importlib
import os
import sys

from airflow.plugins_manager import AirflowPlugin

# Libraries only: the pipeline's own code is read afresh by every task, so a change of it needs no restart.
HEAVY = (
    "great_expectations",
    "pandas",
    "pyarrow.compute",
    "pyarrow.parquet",
    "azure.storage.blob",
    "snowflake.connector",
    "airflow.providers.microsoft.azure.hooks.wasb",
    "airflow.providers.snowflake.hooks.snowflake",
    "confluent_kafka.admin",
)


class WarmImports(AirflowPlugin):
    """Registers nothing: importing this module in the scheduler is all it does."""

    name = "warm_imports"


def warm() -> None:
    """Import the libraries before the executor forks its workers, and keep them out of the collector's way."""
    for module in HEAVY:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()


if "scheduler" in sys.argv[1:2] and "LocalExecutor" in os.environ.get("AIRFLOW__CORE__EXECUTOR", ""):
    warm()
