"""Puts a stack's addresses, keys and connections into environment variables, for its parts, tests and shells."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from local.airflow_settings import airflow_environment
from local.credentials import Credentials
from local.ports import HOST
from local.settings import LocalSettings

# The account that every Azurite has; its key is printed in the product's documentation and protects nothing.
_AZURITE_ACCOUNT = "devstoreaccount1"
_AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_WAREHOUSE_USER = "PIPELINE"

ENDPOINTS = "endpoints.env"
"""File of everything, for the parts and for operators' commands; it has every secret of the stack."""
CLIENT = "client.env"
"""File for clients."""


def build(settings: LocalSettings, ports: Mapping[str, int], state: Path, credentials: Credentials) -> dict[str, str]:
    """Return every variable that the parts of this stack, its tests and its users need."""
    return {
        **_addresses(settings, ports, state),
        **_secrets(credentials),
        **_pipeline(settings, ports, state, credentials),
        **_connections(ports, credentials),
        **airflow_environment(settings, ports, state, credentials),
    }


def for_clients(endpoints: Mapping[str, str]) -> dict[str, str]:
    """Return what one who posts events needs: addresses and write keys, and nothing that opens or moves the stack."""
    return {name: value for name, value in endpoints.items() if name.startswith(("LOCAL_URL_", "LOCAL_WRITE_KEY_"))}


def as_shell(endpoints: Mapping[str, str], file: str) -> str:
    """Return the text of a file of variables, which any POSIX shell can source."""
    head = f"# Written by the running stack. Load it with:  set -a; . .local/{file}; set +a\n"
    return head + "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(endpoints.items()))


def _addresses(settings: LocalSettings, ports: Mapping[str, int], state: Path) -> dict[str, str]:
    return {
        **{"LOCAL_" + name.upper(): str(port) for name, port in ports.items()},
        "LOCAL_STATE_DIR": str(state),
        "LOCAL_URL_INGEST": f"http://{HOST}:{ports['ingest_port']}",
        "LOCAL_URL_AIRFLOW": f"http://{HOST}:{ports['airflow_port']}",
        "LOCAL_SNOWFLAKE_DIR": str(state / "warehouse"),
        "LOCAL_AMPLITUDE_DIR": str(state / "vendor"),
        "LOCAL_URL_AMPLITUDE": f"http://{HOST}:{ports['amplitude_port']}",
        "LOCAL_AMPLITUDE_IMPORT_SECONDS": f"{settings.amplitude_import_seconds:g}",
        "LOCAL_AMPLITUDE_CURSOR": settings.amplitude_cursor,
        "LOCAL_AZURE_CONNECTION_STRING": azure_connection_string(ports["azurite_port"]),
    }


def _secrets(credentials: Credentials) -> dict[str, str]:
    return {
        **{f"LOCAL_WRITE_KEY_{_variable(source)}": key for source, key in credentials.write_keys.items()},
        "LOCAL_AMPLITUDE_API_KEY": credentials.amplitude_api_key,
        "LOCAL_AMPLITUDE_SECRET_KEY": credentials.amplitude_secret_key,
    }


def _variable(source: str) -> str:
    return source.upper().replace("-", "_")


def _pipeline(
    settings: LocalSettings, ports: Mapping[str, int], state: Path, credentials: Credentials
) -> dict[str, str]:
    sources = str(state / "sources.json")
    return {
        "INGEST_PORT": str(ports["ingest_port"]),
        "INGEST_SOURCES_PATH": sources,
        "INGEST_SPOOL_DIR": str(state / "spool"),
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{ports['kafka_port']}",
        "INGEST_KAFKA_TOPIC": "events",
        "TOPIC_REPLICATION_FACTOR": "1",
        "TOPIC_MIN_INSYNC_REPLICAS": "1",
        "PIPELINE_SOURCES_FILE": sources,
        "PIPELINE_KAFKA_TOPIC": "events",
        "PIPELINE_LAKE_CONTAINER": "lake",
        "MIGRATE_LAKE_URL": f"azure://{_AZURITE_ACCOUNT}.blob.core.windows.net/lake/",
        "PIPELINE_STAGE_CRON": settings.stage_cron,
        "PIPELINE_START_DATE": credentials.created_at,
        "PIPELINE_PSEUDONYM_KEY": credentials.pseudonym_key,
        "PIPELINE_PSEUDONYM_KEY_VERSION": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "true",
    }


def _connections(ports: Mapping[str, int], credentials: Credentials) -> dict[str, str]:
    kafka = {"bootstrap.servers": f"{HOST}:{ports['kafka_port']}"}
    lake = {"connection_string": azure_connection_string(ports["azurite_port"])}
    amplitude = {
        "conn_type": "http",
        "host": f"http://{HOST}:{ports['amplitude_port']}",
        "login": credentials.amplitude_api_key,
        "password": credentials.amplitude_secret_key,
    }
    snowflake = _snowflake(ports["snowflake_port"], credentials.warehouse_password)
    return {
        "AIRFLOW_CONN_KAFKA_EVENTS": json.dumps({"conn_type": "generic", "extra": kafka}),
        "AIRFLOW_CONN_LAKE": json.dumps({"conn_type": "wasb", "extra": lake}),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps(_warehouse(snowflake)),
        "AIRFLOW_CONN_AMPLITUDE": json.dumps(amplitude),
        "LOCAL_AMPLITUDE_SNOWFLAKE": json.dumps({**snowflake, "schema": "PUBLISH"}),
    }


def _snowflake(port: int, password: str) -> dict[str, str | int]:
    return {
        "account": "local",
        "host": HOST,
        "port": port,
        "protocol": "http",
        "user": _WAREHOUSE_USER,
        "password": password,
        "database": "ANALYTICS",
        "warehouse": "PIPELINE_WH",
    }


def _warehouse(snowflake: Mapping[str, str | int]) -> dict[str, object]:
    extra = {name: snowflake[name] for name in ("account", "host", "port", "protocol", "database", "warehouse")}
    return {
        "conn_type": "snowflake",
        "login": snowflake["user"],
        "password": snowflake["password"],
        "schema": "CORE",
        "extra": extra,
    }


def azure_connection_string(port: int) -> str:
    """Return the connection string of the Azurite at this port."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={_AZURITE_ACCOUNT};AccountKey={_AZURITE_KEY};"
        f"BlobEndpoint=http://{HOST}:{port}/{_AZURITE_ACCOUNT};"
    )
