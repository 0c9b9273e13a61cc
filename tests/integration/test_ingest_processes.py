"""What the kernel does for a server: it drops clients that read nothing, and ends workers whose parent is gone."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from local.ports import free_ports
from tests.integration.ingest_server import ApiServer, write_sources

PAGE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
SEND_SECONDS = 1.0


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ApiServer]:
    """An API whose Kafka is away, which is all the same here."""
    environment = {
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_ports(['kafka'])['kafka']}",
        "INGEST_SOURCES_PATH": str(write_sources(tmp_path / "sources.json")),
        "INGEST_SEND_TIMEOUT_MS": str(int(SEND_SECONDS * 1000)),
        "INGEST_HEADER_TIMEOUT_MS": "600000",
        "INGEST_WORKERS": str(getattr(request, "param", 1)),
    }
    with ApiServer(tmp_path, environment) as running:
        yield running


def _clients(server: ApiServer) -> int:
    workers = psutil.Process(server.process.pid).children()
    return sum(one.status == psutil.CONN_ESTABLISHED for worker in workers for one in worker.net_connections("tcp4"))


def _await(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def _is_at_work(process: psutil.Process) -> bool:
    # Whoever inherits an orphan may take its time to bury it.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _connect(server: ApiServer) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", server.port))
    return connection


def test_a_client_that_never_reads_is_dropped(server: ApiServer) -> None:
    assert _await(lambda: _clients(server) == 0, 5), "those that asked whether the server lives"
    with _connect(server) as connection:
        connection.sendall(PAGE * 20)
        assert _await(lambda: _clients(server) == 1, 5)
        assert _await(lambda: _clients(server) == 0, 10 * SEND_SECONDS)


def test_a_client_that_reads_slowly_gets_everything(server: ApiServer) -> None:
    with _connect(server) as connection:
        connection.sendall(PAGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        began, size = time.monotonic(), 0
        while piece := connection.recv(65_536):
            size += len(piece)
            if time.monotonic() - began < 3 * SEND_SECONDS:
                time.sleep(0.05)
        assert size > 1_000_000
        assert time.monotonic() - began > 3 * SEND_SECONDS


@pytest.mark.parametrize("server", [2], indirect=True)
def test_workers_end_with_their_parent(server: ApiServer) -> None:
    workers = psutil.Process(server.process.pid).children()
    assert len(workers) == 2
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(5)
    ended = _await(lambda: not any(map(_is_at_work, workers)), 10)
    for worker in filter(_is_at_work, workers):
        worker.kill()
    assert ended
    assert _await(lambda: _is_free(server.port), 5)


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False
