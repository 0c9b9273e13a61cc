"""Clients of the pipeline's parts outside Airflow, from the same `AIRFLOW_CONN_*` variables, for the commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import snowflake.connector
from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import AzureError
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

from include.connections import ConnectionSpec, connection, snowflake_parameters
from include.errors import SetupError
from include.lake import Lake
from include.settings import PipelineSettings
from include.warehouse import Warehouse, opened


def kafka(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the librdkafka properties of connection `kafka_events`."""
    return {"log_level": 0, **connection("kafka_events", environ).options}


@contextmanager
def lake(environ: Mapping[str, str], settings: PipelineSettings) -> Iterator[Lake]:
    """Open the lake of connection `lake`, whose fields mean what they mean to Airflow's Azure provider."""
    with _storage(connection("lake", environ)) as service:
        yield Lake(service.get_container_client(settings.lake_container), settings.kafka_topic)


@contextmanager
def warehouse(environ: Mapping[str, str]) -> Iterator[Warehouse]:
    """Open the warehouse of connection `warehouse`."""
    parameters = snowflake_parameters(connection("warehouse", environ))
    with closing(opened(lambda: snowflake.connector.connect(**parameters))) as connected:
        yield Warehouse(connected)


def _storage(spec: ConnectionSpec) -> BlobServiceClient:
    options = spec.options
    try:
        if "connection_string" in options:
            return BlobServiceClient.from_connection_string(options["connection_string"])
        url = spec.host if spec.host.startswith("http") else f"https://{spec.host or spec.login}"
        url = url if "." in url else f"{url}.blob.core.windows.net"
        return BlobServiceClient(url, credential=_credential(spec, options))
    except (AzureError, ValueError) as error:
        raise SetupError(f"connection `lake` cannot be used: {error}; see docs/runbooks/lake-refused.md") from error


def _credential(spec: ConnectionSpec, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the SDK takes many kinds
    if "tenant_id" in options:
        return ClientSecretCredential(options["tenant_id"], spec.login, spec.password)
    if "sas_token" in options:
        return AzureSasCredential(options["sas_token"])
    key = options.get("shared_access_key") or spec.password or options.get("account_key")
    return key or DefaultAzureCredential()
