"""Settings of the Snowflake stand-in, read from the environment, for its start command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from include.contract.settings import load


class SnowflakeSettings(msgspec.Struct, frozen=True):
    """Where the stand-in listens and keeps its databases, and how patient its locks are."""

    host: Annotated[str, msgspec.Meta(description="Address to listen on; a container needs 0.0.0.0.")] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="Port of the Snowflake stand-in.")] = 8084
    dir: Annotated[str, msgspec.Meta(description="Folder of its database files.")] = ".local/warehouse"
    lock_seconds: Annotated[
        float, msgspec.Meta(ge=0, description="Wait for a table another transaction writes (Snowflake: 12 hours).")
    ] = 60.0
    idle_abort_seconds: Annotated[
        float,
        msgspec.Meta(ge=0, description="Idle time after which a blocking transaction is rolled back (Snowflake: 300)."),
    ] = 15.0


class AzureSettings(msgspec.Struct, frozen=True):
    """The storage account behind `azure://` stages."""

    connection_string: Annotated[str, msgspec.Meta(description="Connection string of the local Azure storage.")] = ""


def snowflake_settings(environ: Mapping[str, str]) -> SnowflakeSettings:
    """Return the stand-in's settings; raises SetupError naming the variable that is wrong."""
    return load(SnowflakeSettings, "LOCAL_SNOWFLAKE_", environ)


def azure_settings(environ: Mapping[str, str]) -> AzureSettings:
    """Return the storage settings; raises SetupError naming the variable that is wrong."""
    return load(AzureSettings, "LOCAL_AZURE_", environ)
