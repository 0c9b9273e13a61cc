"""Settings of the Amplitude stand-in, read from `LOCAL_AMPLITUDE_*`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from include.contract.settings import load

PREFIX = "LOCAL_AMPLITUDE_"


class AmplitudeSettings(msgspec.Struct, frozen=True):
    """Where the stand-in listens and stores, which keys it accepts and how its importer polls."""

    api_key: Annotated[str, Meta(min_length=1, description="API key that uploads and the Export API must carry.")]
    secret_key: Annotated[str, Meta(min_length=1, description="Secret key that the Export API must carry.")]
    dir: Annotated[str, Meta(min_length=1, description="Folder of its database.")]
    host: Annotated[str, Meta(description="Address to listen on; a container needs 0.0.0.0.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="Port of the Amplitude stand-in.")] = 8085
    import_seconds: Annotated[
        float, Meta(ge=0, description="Seconds between two polls of our view by the warehouse importer; 0 is off.")
    ] = 0.0
    cursor: Annotated[
        Literal[">", ">="], Meta(description="How the importer compares with the last maximum; Amplitude does not say.")
    ] = ">"
    snowflake: Annotated[
        dict[str, Any], Meta(description="JSON arguments of snowflake.connector.connect for the importer.")
    ] = {}
    export_delay_seconds: Annotated[
        float, Meta(ge=0, description="Delay of the Export API after the end of an hour (Amplitude: 7200); 0 is none.")
    ] = 0.0


def amplitude_settings(environ: Mapping[str, str]) -> AmplitudeSettings:
    """Return the settings; raises SetupError naming the variable that is missing or wrong.

    Other variables of this prefix (addresses in a sourced `endpoints.env`) are no settings and are passed over.
    """
    known = {PREFIX + field.upper() for field in AmplitudeSettings.__struct_fields__}
    return load(AmplitudeSettings, PREFIX, {name: environ[name] for name in known & environ.keys()})
