"""Follows the parts of a running stack: starts what may start, sees what serves, restarts what died, within bounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from include.errors import SetupError
from local import processes
from local.control import Control, Program, log_file
from local.parts import Part

State = Literal["waiting", "starting", "ready", "done", "dead", "stopped", "paused"]
_RUNNING = ("STARTING", "RUNNING", "BACKOFF", "STOPPING")
_BUDGET_SECONDS = 600.0
_LOG_LINES = 15
_LOG_WIDTH = 300


@dataclass(frozen=True)
class PartStatus:
    """What a person or a board sees of one part; a step (topic, containers, DDL) ends as `done`."""

    name: str
    state: State = "waiting"
    pid: int = 0
    port: int | None = None
    restarts: int = 0
    started_at: float = 0.0
    ready_after_seconds: float = 0.0
    log: str = ""

    @property
    def uptime_seconds(self) -> float:
        """Seconds since the last start; 0 when it does not run."""
        return max(0.0, time.time() - self.started_at) if self.pid else 0.0


class PartDiedError(SetupError):
    """A part ended for good, or never began to serve; the message has its last log lines."""


class Watch:
    """The state of every part, advanced by `tick`."""

    def __init__(
        self,
        state: Path,
        control: Control,
        parts: Mapping[str, Part],
        ports: Mapping[str, int],
        restart_limit: int,
        say: Callable[[str], None],
    ) -> None:
        self._state, self.parts, self._limit, self._say = state, parts, restart_limit, say
        self._control = control
        self._deaths: dict[str, list[float]] = {name: [] for name in parts}
        self._log_starts: dict[str, int] = {}
        self.statuses = {
            name: PartStatus(name, port=ports.get(part.port or ""), log=str(log_file(state, name)))
            for name, part in parts.items()
        }

    def tick(self) -> None:
        """Advance every part by one step; raises PartDiedError when one is beyond its restarts."""
        programs = self._control.programs()
        for name, part in self.parts.items():
            status = self.statuses[name]
            if status.state == "waiting" and self._may_start(part):
                self.start(name)
            elif status.state in ("starting", "ready"):
                self._follow(part, status, programs[name])

    def is_settled(self) -> bool:
        """Say whether every part serves, or was stopped on purpose."""
        return all(status.state not in ("waiting", "starting", "dead") for status in self.statuses.values())

    def start(self, name: str) -> None:
        """Start a part now; a step that an earlier start did is done already."""
        if self.parts[name].probe is None and self.parts[name].is_done():
            self.change(name, state="done")
            return
        log = log_file(self._state, name)
        self._log_starts[name] = log.stat().st_size if log.exists() else 0
        self._control.start(name)
        pid = self._control.programs()[name].pid
        self.change(name, state="starting", pid=pid, started_at=time.time())

    def change(self, name: str, **changes: object) -> None:
        """Record what happened to a part."""
        self.statuses[name] = replace(self.statuses[name], **changes)  # type: ignore[arg-type]

    def _may_start(self, part: Part) -> bool:
        before = [name for name in (*part.needs, *part.after) if name in self.parts]
        return all(self.statuses[name].state in ("ready", "done") for name in before)

    def _follow(self, part: Part, status: PartStatus, program: Program) -> None:
        if program.state not in _RUNNING:
            self._ended(part, program)
        elif status.state == "starting":
            self._try(part, status)

    def _try(self, part: Part, status: PartStatus) -> None:
        waited = time.time() - status.started_at
        if part.probe and part.probe(status.started_at):
            self.change(part.name, state="ready", ready_after_seconds=waited)
            self._say(f"{part.name} ready after {waited:.1f} s")
        elif waited > part.ready_seconds:
            raise PartDiedError(f"{part.name} does not serve after {waited:.0f} s. {self._last_lines(part.name)}")

    def _ended(self, part: Part, program: Program) -> None:
        status = self.statuses[part.name]
        if part.probe is None and program.state == "EXITED" and program.exit_status == 0:
            self.change(part.name, state="done", pid=0, ready_after_seconds=time.time() - status.started_at)
            self._say(f"{part.name} done")
            return
        # What it had started (Airflow's workers, for one) must not work on beside its successor.
        processes.kill_group(status.pid)
        self.change(part.name, state="dead", pid=0)
        how = f"{part.name} ended unexpectedly ({_ending(program)}). {self._last_lines(part.name)}"
        deaths = [moment for moment in self._deaths[part.name] if time.monotonic() - moment < _BUDGET_SECONDS]
        self._deaths[part.name] = [*deaths, time.monotonic()]
        if part.probe is None or len(deaths) >= self._limit:
            raise PartDiedError(how)
        self._say(f"{how}\n{part.name} is started again ({len(deaths) + 1} of {self._limit} times).")
        self.start(part.name)
        self.change(part.name, restarts=status.restarts + 1)

    def _last_lines(self, name: str) -> str:
        log = log_file(self._state, name)
        output = log.read_bytes() if log.exists() else b""
        # Not the lines of earlier starts, unless the log was rotated since.
        fresh = output[self._log_starts.get(name, 0) :] or output
        lines = fresh.decode(errors="replace").splitlines()[-_LOG_LINES:]
        return f"Last lines of {log}:\n" + "\n".join(f"  | {line[:_LOG_WIDTH]}" for line in lines)


def _ending(program: Program) -> str:
    if program.state == "FATAL":
        return "it could not be started"
    # supervisord reports a signal as -1.
    return "killed by a signal" if program.exit_status < 0 else f"exit status {program.exit_status}"
