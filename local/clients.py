"""Clients of a running stack's warehouse and lake, for the board, the smoke run and the SQL prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import snowflake.connector
from azure.storage.blob import BlobServiceClient


def warehouse(endpoints: Mapping[str, str], patience_seconds: int = 60) -> Any:  # noqa: ANN401 - untyped connector
    """Connect to the warehouse of connection `warehouse`; gives up after `patience_seconds`."""
    spec = json.loads(endpoints["AIRFLOW_CONN_WAREHOUSE"])
    timeouts = {"login_timeout": min(patience_seconds, 15), "network_timeout": patience_seconds}
    return snowflake.connector.connect(
        user=spec["login"], password=spec["password"], schema=spec["schema"], **{**spec["extra"], **timeouts}
    )


def storage(endpoints: Mapping[str, str]) -> BlobServiceClient:
    """Return a client of the storage account."""
    return BlobServiceClient.from_connection_string(endpoints["LOCAL_AZURE_CONNECTION_STRING"])
