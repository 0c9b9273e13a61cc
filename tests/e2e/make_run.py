"""`make run` as a user starts it, without a terminal: a process with its output in a file, ended by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import processes
from local.endpoints_file import parse
from local.paths import PYTHON, ROOT
from local.ports import free_ports
from local.settings import PORTS

_END_SECONDS = 90


class MakeRun:
    """One running `python -m local.run`."""

    def __init__(self, state: Path, *options: str) -> None:
        self.state = state
        self._output = state.with_suffix(".log")
        ports = {f"LOCAL_{name.upper()}": str(port) for name, port in free_ports(PORTS).items()}
        with self._output.open("wb") as stream:
            self.process = subprocess.Popen(
                [str(PYTHON), "-m", "local.run", *options],
                cwd=ROOT,
                env={**os.environ, **ports, "LOCAL_STATE_DIR": str(state), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        """Return everything printed so far."""
        return self._output.read_text()

    def await_line(self, text: str, timeout_seconds: float) -> None:
        """Wait until something was printed."""
        deadline = time.monotonic() + timeout_seconds
        while text not in self.output:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"`make run` did not print {text!r}:\n{self.output}")
            time.sleep(0.5)

    def endpoints(self) -> dict[str, str]:
        """Return the addresses of the running stack."""
        return parse(self.state / "endpoints.env")

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(_END_SECONDS)


@contextmanager
def make_run(state: Path, *options: str) -> Iterator[MakeRun]:
    """Start it and wait until everything serves; whatever happens, nothing of it stays running."""
    running = MakeRun(state, *options)
    try:
        running.await_line("everything serves", timeout_seconds=300)
        yield running
    finally:
        if running.process.poll() is None:
            running.interrupt()
        processes.end(state)
