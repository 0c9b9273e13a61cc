"""Helpers for the tests of the Snowflake stand-in: the real connector, a schema per test, staged Parquet files."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import snowflake.connector
from azure.storage.blob import ContainerClient
from snowflake.connector.connection import SnowflakeConnection
from snowflake.connector.cursor import SnowflakeCursor

Params = Sequence[object] | dict[str, object] | None


def connect(endpoints: Mapping[str, str], **options: object) -> SnowflakeConnection:
    """Return a connection of the real connector to the stand-in of `endpoints`."""
    known = json.loads(endpoints["LOCAL_AMPLITUDE_SNOWFLAKE"])
    known.pop("schema", None)
    return snowflake.connector.connect(**{**known, "login_timeout": 20, "network_timeout": 60, **options})


def new_schema(connection: SnowflakeConnection) -> str:
    """Create a schema of its own and make it the session's; returns its name."""
    name = f"T_{uuid.uuid4().hex[:10].upper()}"
    run(connection, f"CREATE SCHEMA ANALYTICS.{name}")
    return name


def run(connection: SnowflakeConnection, sql: str, params: Params = None) -> list[Any]:
    """Run one statement and return its rows."""
    with connection.cursor() as cursor:
        return list(execute(cursor, sql, params).fetchall())


def execute(cursor: SnowflakeCursor, sql: str, params: Params = None) -> SnowflakeCursor:
    """Run one statement on `cursor`."""
    result = cursor.execute(sql, params)
    assert result is not None
    return result


def stage_rows(container: ContainerClient, name: str, **columns: Sequence[object] | pa.Array) -> str:
    """Write a Parquet file of `columns` to the container; returns its name."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    container.upload_blob(name, sink.getvalue(), overwrite=True)
    return name
