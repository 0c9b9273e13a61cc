"""Starts and ends the supervisord process of one stack."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from include.errors import SetupError
from local import processes
from local.control import Control, log_file
from local.paths import PYTHON, ROOT

_START_SECONDS = 20.0
_END_SECONDS = 60.0
_FOREIGN = ("JAVA_", "JDK_", "KAFKA_", "CLASSPATH", "NODE_OPTIONS", "PYTHON", "VIRTUAL_ENV", "AIRFLOW_", "LOCAL_")
"""A user's own Java, Node or Airflow must not change the parts."""


class SupervisorProcess:
    """The supervisord that this process started, ended when this process ends."""

    def __init__(self, state: Path, endpoints: Mapping[str, str]) -> None:
        self._state = state
        self._environment = _environment(state, endpoints)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it takes commands; raises SetupError with its output when it does not."""
        output = log_file(self._state, "supervise")
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("wb") as stream:
            self._process = subprocess.Popen(
                [str(PYTHON), "-m", "local.supervise", str(self._state)],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C and a closed terminal reach us only, and we stop in order.
                start_new_session=True,
            )
        control, deadline = Control(self._state), time.monotonic() + _START_SECONDS
        while not control.is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SetupError(f"The process manager did not start; see {output}:\n{output.read_text()[-2000:]}")
            time.sleep(0.05)

    def is_alive(self) -> bool:
        """Say whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """End it and whatever it left behind."""
        if self._process is not None:
            if self._process.stdin:
                self._process.stdin.close()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        processes.end(self._state)


def _environment(state: Path, endpoints: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {
        **own,
        **{name: value for name, value in os.environ.items() if name.startswith("AIRFLOW__")},
        **endpoints,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
        processes.TAG: str(state),
        # Without it a process that changes its title overwrites the tag by which it is found.
        "SPT_NOENV": "1",
    }
