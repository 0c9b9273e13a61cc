"""Starts the ingest API: `python -m ingest_api`; `--help` lists every setting."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import tempfile
from functools import partial

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings

from include.errors import SetupError
from ingest_api import logs, settings, siblings, worker

_OTHER_FILES = 256
_BUFFER_BYTES = 64 * 1024
"""What a connection may hold of a request before anybody reads it; also the most that its headers may be."""


def serve(configuration: settings.Configuration) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in progress and stop."""
    api = configuration.api
    allow_open_files(api.max_connections + _OTHER_FILES)
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
        if api.workers > 1:
            os.environ[siblings.FOLDER_VARIABLE] = folder
        try:
            _server(api).serve(spawn_target=partial(worker.work, os.getpid(), api.send_timeout_ms))
        finally:
            # A second signal may come as late as this, and must not turn a good end into a bad one.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)


def _server(api: settings.Settings) -> Granian:
    return Granian(
        "ingest_api.app:app",
        address=api.host,
        port=api.port,
        workers=api.workers,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=api.max_connections,
        backpressure=api.max_connections,
        http1_settings=HTTP1Settings(header_read_timeout=api.header_timeout_ms, max_buffer_size=_BUFFER_BYTES),
        workers_kill_timeout=api.stop_timeout_seconds,
        log_level=api.log_level,
        log_dictconfig=logs.configuration(api.log_level),
    )


def allow_open_files(wanted: int) -> None:
    """Let the process have as many open files as its connections need, as far as the system allows it."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now < wanted and now != resource.RLIM_INFINITY:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most)
        )


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
