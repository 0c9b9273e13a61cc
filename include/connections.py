"""Connections outside Airflow: the same `AIRFLOW_CONN_*` variables, for the migration, settle and shell commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from include.errors import SetupError


class ConnectionSpec(msgspec.Struct):
    """An Airflow connection in its JSON form."""

    conn_type: str = ""
    host: str = ""
    login: str = ""
    password: str = ""
    schema: str = ""
    port: int | None = None
    extra: dict[str, Any] | str = {}

    @property
    def options(self) -> dict[str, Any]:
        """Return `extra` as a mapping, however it was written."""
        return msgspec.json.decode(self.extra, type=dict[str, Any]) if isinstance(self.extra, str) else self.extra


def connection(name: str, environ: Mapping[str, str] = os.environ) -> ConnectionSpec:
    """Read `AIRFLOW_CONN_<NAME>`; raises SetupError when it is missing or not JSON."""
    variable = f"AIRFLOW_CONN_{name.upper()}"
    if variable not in environ:
        raise SetupError(f"{variable} is not set: `source .local/endpoints.env`, or set the connection in JSON form")
    try:
        return msgspec.json.decode(environ[variable], type=ConnectionSpec)
    except msgspec.DecodeError as error:
        raise SetupError(f"{variable} is not a connection in Airflow's JSON form") from error


def snowflake_parameters(spec: ConnectionSpec) -> dict[str, Any]:
    """Return what `snowflake.connector.connect` takes; key pairs as `private_key_file`, as Airflow's hook has it."""
    known = {"login": "user", "password": "password", "schema": "schema"}
    found = {ours: getattr(spec, theirs) for theirs, ours in known.items() if getattr(spec, theirs)}
    if "private_key_file" in spec.options and spec.password:
        found["private_key_file_pwd"] = found.pop("password")
    return {"login_timeout": 20, "network_timeout": 120, **found, **spec.options}
