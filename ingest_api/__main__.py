"""Starts the ingest API: `python -m ingest_api`; `--help` lists every setting."""

from __future__ import annotations

import os
import socket
import sys

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings

from include.errors import SetupError
from ingest_api import logs, settings


def serve(configuration: settings.Configuration) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in progress and stop."""
    api = configuration.api
    Granian(
        "ingest_api.app:app",
        address=api.host,
        port=api.port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=api.max_connections,
        backpressure=api.max_connections,
        http1_settings=HTTP1Settings(header_read_timeout=api.header_timeout_ms),
        workers_kill_timeout=api.stop_timeout_seconds,
        log_level=api.log_level,
        log_dictconfig=logs.configuration(api.log_level),
    ).serve()


def require_free_port(host: str, port: int) -> None:
    """Raise SetupError when someone listens there already; granian itself would silently share the port with them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SetupError(
                f"cannot listen on {host}:{port} ({error.strerror}); stop what uses it or set {settings.PREFIX}PORT"
            ) from error


def _help() -> str:
    lines = [
        f"{setting.variable}={setting.default or ''}\n    {setting.description} ({setting.type_name})"
        for setting in settings.reference()
    ]
    return "\n".join([f"{__doc__}\n", *lines])


def main(arguments: list[str]) -> int:
    """Run, or print the settings; exit status 2 when the settings are wrong."""
    if arguments:
        print(_help())  # noqa: T201
        return 0 if arguments in (["--help"], ["-h"]) else 2
    try:
        configuration = settings.load(os.environ)
        require_free_port(configuration.api.host, configuration.api.port)
    except SetupError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    serve(configuration)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
