"""Starts a measured server for the ingest benchmarks, and says what processor time it took."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from bench.ingest_load import HOST, Report
from local.paths import API_PYTHON, ROOT
from local.ports import free_ports

_PATH = "/usr/bin:/bin"


@contextmanager
def server(
    module: str, environment: dict[str, str], path: str, python: Path = API_PYTHON
) -> Iterator[tuple[int, psutil.Process]]:
    """Run `python -m module [arguments] [port]` until the block ends; begins when `path` answers 200."""
    port = free_ports(["server"])["server"]
    name, *arguments = module.split()
    extra = [*arguments, str(port)] if arguments else []
    command: list[str] = [str(python), "-m", name, *extra]
    started = subprocess.Popen(command, cwd=ROOT, env={**environment, "INGEST_PORT": str(port), "PATH": _PATH})
    try:
        _await(f"http://{HOST}:{port}{path}", started)
        yield port, psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait(20)


def _await(url: str, started: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        if started.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def run(module: str, *arguments: str) -> Report:
    """Run a client or producer as a process of its own."""
    command = [str(API_PYTHON), "-m", module, *arguments]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=3_600)
    return msgspec.json.decode(ended.stdout, type=Report)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time of a server and all its children so far."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(found.user + found.system for found in times)
