"""Chooses the stack's ports and says who sits on one that is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from include.errors import SetupError

HOST = "127.0.0.1"
_DESCRIPTION = 60


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """Return a different free port for each name."""
    sockets = {name: socket.socket() for name in names}
    try:
        for held in sockets.values():
            held.bind((HOST, 0))
        return {name: held.getsockname()[1] for name, held in sockets.items()}
    finally:
        for held in sockets.values():
            held.close()


def require_free(ports: Mapping[str, int]) -> None:
    """Raise SetupError naming, for each taken port, its owner and the variable that chooses another."""
    users: dict[int, list[str]] = {}
    for variable, port in ports.items():
        users.setdefault(port, []).append(variable)
    shared = [
        f"Port {port} is wanted by {' and '.join(variables)}; give each its own."
        for port, variables in users.items()
        if len(variables) > 1
    ]
    if shared:
        raise SetupError("\n".join(shared))
    taken = [_complaint(variable, port) for variable, port in ports.items() if not _is_free(port)]
    if taken:
        raise SetupError("\n".join(taken))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _complaint(variable: str, port: int) -> str:
    return f"Port {port} is taken by {owner(port)}; stop it or choose another port with {variable}=<port>."


def owner(port: int) -> str:
    """Describe the process that listens on the port."""
    try:
        connections = psutil.net_connections(kind="inet")
    except psutil.AccessDenied:
        return "another process"
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", None) == port
        if listens and connection.pid:
            return _describe(connection.pid)
    return "another process"


def _describe(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        program, *arguments = process.cmdline()
        return f"process {pid} ({' '.join([Path(program).name, *arguments])[:_DESCRIPTION]} …)"
    except (psutil.Error, ValueError):
        return f"process {pid}"
