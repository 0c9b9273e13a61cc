"""Runs one task body of a DAG in a process of its own that stops at a boundary and waits for its fate."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias

Interval: TypeAlias = tuple[datetime, datetime]
END = "after the step, before its result is told"
_FORKED = multiprocessing.get_context("forkserver")
PATIENCE_S = 150.0
LOG = "CRASH_AUDIT_LOG"
"""Variable with the file to which steps log."""


@dataclass(frozen=True)
class Order:
    """What to run, in which environment, and where to stop: at the first of these boundaries, on that visit to it."""

    step: str
    environ: Mapping[str, str]
    interval: Interval
    arguments: tuple[Any, ...] = ()
    stops: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a step ended: with a value, with one of our errors or an unknown one, or killed."""

    kind: Literal["done", "failed", "killed", "hung"]
    value: Any = None
    error: str = ""
    message: str = ""
    passed: Mapping[str, int] = field(default_factory=Counter)


class Step:
    """One attempt at a task; `await_boundary` and `finish` follow each other, `kill` may come in between."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._pipe, childs = _FORKED.Pipe()
        self._process = _FORKED.Process(target=_run, args=(order, childs), daemon=True)
        self._process.start()
        childs.close()
        self._told: Any = None

    def await_boundary(self) -> str | None:
        """Return the boundary at which the step waits, None when it ended without reaching one of its stops."""
        self._told = self._hear()
        return str(self._told[1]) if self._told and self._told[0] == "at" else None

    def go_on(self) -> None:
        """Let a step that waits at its boundary go on."""
        self._pipe.send("go on")

    def kill(self) -> Outcome:
        """Send SIGKILL; returns when the process is gone."""
        self._process.kill()
        self._process.join()
        if self._process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"step {self.order.step} ended with {self._process.exitcode} and not by SIGKILL")
        self._pipe.close()
        return Outcome("killed")

    def finish(self) -> Outcome:
        """Wait for the step's end."""
        while self._told is None or self._told[0] == "at":
            self._told = self._hear()
            if self._told is None:
                break
        if self._told is None:
            alive = self._process.is_alive()
            self._process.kill()
            self._process.join()
            return Outcome("hung" if alive else "failed", error="NoAnswer", message=f"exit {self._process.exitcode}")
        self._process.join()
        self._pipe.close()
        kind, value, error, message, passed = self._told
        return Outcome(kind, value, error, message, passed)

    def _hear(self) -> Any:
        ready = wait([self._pipe, self._process.sentinel], timeout=PATIENCE_S)
        if self._pipe not in ready and not self._pipe.poll():
            return None
        try:
            return self._pipe.recv()
        except EOFError:
            return None


def _run(order: Order, pipe: Connection) -> None:
    """Do the step in the forked process; whatever it raises is told and not shown."""
    from tests.faults import crash_hooks, crash_warm  # noqa: PLC0415 - only the fork server has these at hand

    passed: Counter[str] = Counter()
    stopped: list[str] = []

    def reached(boundary: str) -> None:
        passed[boundary] += 1
        if not stopped and order.stops.get(boundary) == passed[boundary]:
            stopped.append(boundary)
            pipe.send(("at", boundary))
            pipe.recv()

    os.environ.update(order.environ)
    _log_to(order.environ[LOG])
    crash_hooks.arm(reached)
    try:
        with _context(order.interval):
            value = crash_warm.STEPS[order.step](*order.arguments)
        reached(END)
    except Exception as error:  # noqa: BLE001 - the audit decides what it means
        pipe.send(("failed", None, type(error).__name__, str(error), dict(passed)))
    else:
        pipe.send(("done", value, "", "", dict(passed)))
    finally:
        pipe.close()


def _log_to(path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)


@contextmanager
def _context(interval: Interval) -> Any:
    """Give the task body what it asks its DAG run: the data interval, and that it is an ordinary one."""
    from airflow.sdk.execution_time.context import set_current_context  # noqa: PLC0415 - see _run

    run = SimpleNamespace(run_type="scheduled", run_id=f"scheduled__{interval[0]}", start_date=interval[0])
    found: Any = {
        "data_interval_start": interval[0],
        "data_interval_end": interval[1],
        "dag_run": run,
        "params": {},
    }
    with set_current_context(found):
        yield


def warm(folder: str) -> None:
    """Start the fork server, which imports everything while its caller goes on; Airflow's files go to `folder`."""
    _FORKED.set_forkserver_preload(["tests.faults.crash_warm", "tests.faults.crash_hooks"])
    before = dict(os.environ)
    quiet = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING", "GX_ANALYTICS_ENABLED": "false"}
    os.environ.update({"AIRFLOW_HOME": folder, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **quiet})
    try:
        forkserver.ensure_running()
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def cool() -> None:
    """End the fork server, which holds hundreds of megabytes."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def threads() -> list[str]:
    """Return the threads of the fork server other than its first, when it has imported everything."""
    mine, childs = _FORKED.Pipe()
    process = _FORKED.Process(target=_tell_threads, args=(childs,), daemon=True)
    process.start()
    childs.close()
    found: list[str] = mine.recv()
    process.join()
    mine.close()
    return found


def _tell_threads(pipe: Connection) -> None:
    """Tell which threads the fork server has: it is this process's parent."""
    server = os.getppid()
    tasks = Path(f"/proc/{server}/task")
    pipe.send([(one / "comm").read_text().strip() for one in tasks.iterdir() if one.name != str(server)])
    pipe.close()
