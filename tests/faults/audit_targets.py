"""What the kill audit kills: the broker and the API processes, each brought back by a keeper of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import psutil

from local.paths import API_PYTHON, ROOT
from local.stack import Stack
from tests.integration.ingest_server import ApiServer

_LOOK_SECONDS = 0.1


class Target(Protocol):
    """Something that can be killed at any moment, also while it starts, and comes back by itself."""

    name: str

    def kill(self, down_seconds: float) -> int:
        """Kill it with all its processes; returns how many there were, 0 when it was dead already."""

    def freeze(self) -> None:
        """Stop all its processes where they are."""

    def thaw(self) -> None:
        """Let them go on."""

    def is_up(self) -> bool:
        """Say whether it serves, and is not what was killed last."""


class Keeper:
    """A thread that calls `look` again and again; what that raises ends the audit."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def look(self) -> None:
        """Start what is dead and may live again."""
        raise NotImplementedError

    def keep(self) -> None:
        """Begin."""
        self._thread.start()

    def leave(self) -> None:
        """Look no more."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - handed to the thread that waits
                self.error = error
                return


class Broker(Keeper):
    """The stack's broker; the stack itself starts it again, as it does for a user."""

    name = "broker"

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self._stack = stack
        self._lock = threading.Lock()
        self._dead_until = 0.0
        self._killed = 0
        self.starts = 1

    def look(self) -> None:
        with self._lock:
            if time.monotonic() >= self._dead_until:
                before = self._pid()
                self._stack.tick()
                self.starts += self._pid() not in {0, before}

    def kill(self, down_seconds: float) -> int:
        with self._lock:
            self._dead_until = time.monotonic() + down_seconds
            self._killed = self._pid()
            return self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def is_up(self) -> bool:
        with self._lock:
            return self._stack.is_ready() and self._pid() not in {0, self._killed}

    def _pid(self) -> int:
        return next(status.pid for status in self._stack.status() if status.name == "kafka")

    def _signal(self, number: signal.Signals) -> int:
        return _signal_group(self._pid(), number)


class Api(Keeper, ApiServer):
    """An API process whose every life has a log of its own; whoever supervises it starts it again when it is dead."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        Keeper.__init__(self)
        ApiServer.__init__(self, folder, environment)
        self.name = name
        self.logs: list[Path] = []
        self.ended_by_itself = 0
        self._folder = folder
        self._lock = threading.Lock()
        self._dead_until = 0.0
        self._killed = 0

    def launch(self) -> None:
        """Start it, in a process group of its own, and do not wait."""
        self._log = self._folder / f"{self.name}-{len(self.logs):04d}.log"
        self.logs.append(self._log)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [API_PYTHON, "-m", "ingest_api"], cwd=ROOT, env=self._environment, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def look(self) -> None:
        with self._lock:
            if self.process.poll() is None or time.monotonic() < self._dead_until:
                return
            if self.process.pid != self._killed:
                self.ended_by_itself += 1
                _signal_group(self.process.pid, signal.SIGKILL)
            self.launch()

    def kill(self, down_seconds: float) -> int:
        with self._lock:
            self._dead_until = time.monotonic() + down_seconds
            self._killed = self.process.pid
            # The number of a dead process may be somebody else's by now.
            return _signal_group(self.process.pid, signal.SIGKILL) if self.process.poll() is None else 0

    def kill_worker(self) -> int:
        """Kill what serves the requests and leave its parent, as a kernel short of memory does."""
        workers = _children(self.process.pid)
        for worker in workers:
            worker.kill()
        return len(workers)

    def freeze(self) -> None:
        _signal_group(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        _signal_group(self.process.pid, signal.SIGCONT)

    def is_up(self) -> bool:
        if self.process.poll() is not None or self.process.pid == self._killed:
            return False
        try:
            return self.get("/health/live").status == 200
        except OSError:
            return False


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal_group(leader: int, number: signal.Signals) -> int:
    if leader <= 1:
        return 0
    count = 1 + len(_children(leader))
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return 0
    return count
