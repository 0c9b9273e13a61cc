"""Speaks with the supervisord of one stack: its configuration file, its socket, its view of every program."""

from __future__ import annotations

import hashlib
import os
import shlex
import tempfile
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from local.credentials import write_private
from local.parts import Part
from local.paths import ROOT

_LOG_BYTES = "10MB"
_LOG_BACKUPS = 2
# The kernel's limit is 104 bytes on macOS; supervisord appends its process id while it binds.
_SOCKET_PATH_BYTES = 90


@dataclass(frozen=True)
class Program:
    """What supervisord knows about one program."""

    name: str
    state: str
    pid: int
    exit_status: int


class Control:
    """Remote control of one running supervisord."""

    def __init__(self, state: Path) -> None:
        self._transport = SupervisorTransport(None, None, f"unix://{socket_file(state)}")

    def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401  (XML-RPC)
        server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=self._transport)
        try:
            return getattr(server.supervisor, method)(*arguments)
        finally:
            self._transport.close()

    def is_up(self) -> bool:
        """Say whether supervisord answers."""
        try:
            return bool(self._call("getState")["statecode"] == 1)
        except (OSError, xmlrpc.client.Error):
            return False

    def start(self, name: str) -> None:
        """Start a program; returns at once."""
        self._call("startProcess", name, False)  # noqa: FBT003

    def stop(self, name: str, *, wait: bool) -> None:
        """Ask a program to end; it is killed with its group when it does not."""
        try:
            self._call("stopProcess", name, wait)
        except xmlrpc.client.Fault as fault:
            if "NOT_RUNNING" not in fault.faultString:
                raise

    def programs(self) -> dict[str, Program]:
        """Return the state of every program by name."""
        return {
            row["name"]: Program(row["name"], row["statename"], int(row["pid"]), int(row["exitstatus"]))
            for row in self._call("getAllProcessInfo")
        }

    def shut_down(self) -> None:
        """End supervisord and everything that it started."""
        self._call("shutdown")


def config_file(state: Path) -> Path:
    """Return supervisord's configuration file of this stack."""
    return state / "run" / "supervisord.conf"


def log_file(state: Path, part: str) -> Path:
    """Return the log of a part."""
    return state / "logs" / f"{part}.log"


def socket_file(state: Path) -> Path:
    """Return the control socket; outside the state folder where that one's path is too long for a socket."""
    inside = state / "run" / "supervisord.sock"
    if len(os.fsencode(inside)) <= _SOCKET_PATH_BYTES:
        return inside
    digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"stack-{os.getuid()}-{digest}.sock"


def write_config(state: Path, parts: Iterable[Part]) -> None:
    """Write supervisord's configuration; no secret is in it, the parts inherit the environment."""
    log = log_file(state, "supervisord")
    head = [
        "[supervisord]",
        "nodaemon=true",
        *([f"user={os.getuid()}"] if os.getuid() == 0 else []),
        f"logfile={log}",
        "logfile_maxbytes=2MB",
        "logfile_backups=1",
        f"pidfile={state / 'run' / 'supervisord.pid'}",
        "[unix_http_server]",
        f"file={socket_file(state)}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    sections = [line for part in parts for line in _program(state, part)]
    write_private(config_file(state), "\n".join([*head, *sections, ""]).replace("%", "%%"))


def _program(state: Path, part: Part) -> list[str]:
    return [
        f"[program:{part.name}]",
        f"command={shlex.join(part.command)}",
        f"directory={ROOT}",
        "autostart=false",
        "autorestart=false",
        "startsecs=0",
        f"stopwaitsecs={part.stop_seconds}",
        "stopasgroup=true",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={log_file(state, part.name)}",
        f"stdout_logfile_maxbytes={_LOG_BYTES}",
        f"stdout_logfile_backups={_LOG_BACKUPS}",
    ]
