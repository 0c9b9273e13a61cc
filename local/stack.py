"""Runs any parts of the stack, for `make run` and for tests: `with Stack(parts=("kafka",), ports="free") as stack`."""

from __future__ import annotations

import os
import shutil
import signal
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from include.errors import SetupError
from local import kafka, processes, sources
from local.control import Control, write_config
from local.credentials import load_or_create, write_private
from local.endpoints import CLIENT, ENDPOINTS, as_shell, build, for_clients
from local.lock import StackLock
from local.parts import EVERYTHING, catalogue, choose, temporary
from local.paths import ROOT
from local.ports import free_ports, require_free
from local.settings import PORTS, LocalSettings, local_settings
from local.supervisor_process import SupervisorProcess
from local.watch import PartStatus, Watch

_TICK_SECONDS = 0.1
_STALE_SECONDS = 10.0
_DOWN = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")


class Stack:
    """The chosen parts of the one-machine stack; `endpoints` has their addresses and keys as variables.

    `env` holds LOCAL_* settings and any variable that the parts shall see. Nothing dies with the stack that it did not
    start, and nothing that it started outlives it, not even when this process is killed.
    """

    def __init__(
        self,
        state_dir: Path | str | None = None,
        parts: Iterable[str] = (),
        ports: Literal["default", "free"] = "default",
        env: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.settings: LocalSettings = local_settings({**os.environ, **(env or {})})
        self.state_dir = (ROOT / (state_dir or self.settings.state_dir)).resolve()
        self.endpoints: dict[str, str] = {}
        self.has_started = False
        """Whether any part was ever started."""
        self._wanted, self._free, self._env, self._say = tuple(parts), ports == "free", dict(env or {}), say
        self._lock = StackLock(self.state_dir)
        self._control = Control(self.state_dir)
        self._supervisor: SupervisorProcess | None = None
        self._watch: Watch | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return when it serves; raises SetupError with nothing left running."""
        self._lock.acquire()
        try:
            self._launch()
            while not self.is_ready():
                self.tick()
                time.sleep(_TICK_SECONDS)
        except BaseException:
            self.stop()
            raise

    def tick(self) -> None:
        """Restart what died, within bounds; raises SetupError when a part is beyond them or supervisord is gone."""
        before = dict(self._watching.statuses)
        try:
            self._watching.tick()
        except (OSError, xmlrpc.client.Error) as error:
            raise SetupError(f"The process manager of the stack does not answer ({error}); the stack stops.") from error
        finally:
            if before != self._watching.statuses:
                self._publish()

    def is_ready(self) -> bool:
        """Say whether every part serves."""
        return self._watching.is_settled()

    def status(self) -> list[PartStatus]:
        """Return the state of every part, in the order of their start."""
        return list(self._watching.statuses.values()) if self._watch else []

    def stop(self) -> None:
        """End all parts, those that write before those that store, and leave no process behind."""
        if not self._lock.is_held:
            return
        try:
            if self._watch and self._supervisor and self._supervisor.is_alive():
                self._stop_in_order(self._watch)
        except (OSError, xmlrpc.client.Error) as error:
            self._say(f"The process manager does not answer ({error}); the parts are killed.")
        finally:
            if self._supervisor:
                self._supervisor.end()
            self._supervisor = self._watch = None
            for name in (ENDPOINTS, CLIENT, "run/status.json"):
                (self.state_dir / name).unlink(missing_ok=True)
            self._lock.release()

    def kill(self, part: str) -> None:
        """Kill a part with its children as a power cut would; it stays dead until `start_part`."""
        self._watching.change(part, state="stopped")
        processes.kill_group(self._control.programs()[part].pid)
        self._await_down([part])

    def stop_part(self, part: str) -> None:
        """End a part in good order; it stays away until `start_part`."""
        self._watching.change(part, state="stopped")
        self._control.stop(part, wait=True)
        self._watching.change(part, pid=0)

    def start_part(self, part: str) -> None:
        """Start a part that was killed or stopped, and return when it serves."""
        self._watching.start(part)
        while not self._watching.is_settled():
            self.tick()
            time.sleep(_TICK_SECONDS)

    def pause(self, part: str) -> None:
        """Freeze a part: its connections stay open and nothing answers."""
        self._signal(part, signal.SIGSTOP)
        self._watching.change(part, state="paused")

    def resume(self, part: str) -> None:
        """Let a paused part go on."""
        self._signal(part, signal.SIGCONT)
        self._watching.change(part, state="ready")

    @property
    def _watching(self) -> Watch:
        if self._watch is None:
            raise SetupError("The stack does not run; start it first.")
        return self._watch

    def _launch(self) -> None:
        if processes.end(self.state_dir, patience_seconds=_STALE_SECONDS):
            self._say("Ended the parts that an earlier, killed run had left behind.")
        ports = free_ports(PORTS) if self._free else {name: getattr(self.settings, name) for name in PORTS}
        self._prepare(ports)
        parts = choose(catalogue(self.state_dir, self.endpoints), self._wanted or self.settings.parts or EVERYTHING)
        used = {part.port: int(self.endpoints[part.port]) for part in parts.values() if part.port}
        if "LOCAL_KAFKA_PORT" in used:
            used["LOCAL_KAFKA_CONTROLLER_PORT"] = ports["kafka_controller_port"]
        require_free(used)
        write_config(self.state_dir, parts.values())
        self._supervisor = SupervisorProcess(self.state_dir, self.endpoints)
        self.has_started = True
        self._supervisor.start()
        self._watch = Watch(self.state_dir, self._control, parts, used, self.settings.restart_limit, self._say)

    def _prepare(self, ports: Mapping[str, int]) -> None:
        state = self.state_dir
        # What a part that was killed left there.
        shutil.rmtree(temporary(state), ignore_errors=True)
        temporary(state).mkdir(parents=True)
        for folder in ("kafka", "azurite", "warehouse", "vendor", "airflow", "logs", "run"):
            (state / folder).mkdir(parents=True, exist_ok=True)
        state.chmod(0o700)
        credentials = load_or_create(state / "credentials.json")
        self.endpoints = {**build(self.settings, ports, state, credentials), **self._env}
        sources.complete(sources.file(state), credentials)
        broker = kafka.properties(state / "kafka", ports["kafka_port"], ports["kafka_controller_port"])
        write_private(state / "kafka" / "server.properties", broker)
        for name, variables in ((ENDPOINTS, self.endpoints), (CLIENT, for_clients(self.endpoints))):
            write_private(state / name, as_shell(variables, name))

    def _publish(self) -> None:
        write_private(self.state_dir / "run" / "status.json", msgspec.json.encode(self.status()).decode())

    def _signal(self, part: str, number: signal.Signals) -> None:
        # supervisord gives every part a process group of its own.
        os.killpg(self._control.programs()[part].pid, number)

    def _stop_in_order(self, watch: Watch) -> None:
        for name, status in watch.statuses.items():
            if status.state == "paused":
                self._signal(name, signal.SIGCONT)
        for wave in range(3):
            names = [name for name, part in watch.parts.items() if part.stop_wave == wave]
            for name in names:
                self._control.stop(name, wait=False)
            self._await_down(names)
        self._control.shut_down()

    def _await_down(self, names: Iterable[str]) -> None:
        # Bounded by supervisord, which kills what does not end within the part's `stop_seconds`.
        waiting = set(names)
        while waiting:
            programs = self._control.programs()
            waiting = {name for name in waiting if programs[name].state not in _DOWN}
            time.sleep(_TICK_SECONDS / 2)
