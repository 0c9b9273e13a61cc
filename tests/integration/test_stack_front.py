"""`make run` as its users meet it: however its process ends, nothing of the stack stays running."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from local import processes
from local.paths import PYTHON, ROOT
from local.ports import free_ports
from local.settings import PORTS

_PATIENCE_SECONDS = 40.0


class Front:
    """One `python -m local up` with Azurite alone, its output in a file."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.state, self._output = folder / "state", folder / "output"
        ports = {"LOCAL_" + name.upper(): str(port) for name, port in free_ports(PORTS).items()}
        self.environ = {
            **os.environ,
            **ports,
            "LOCAL_STATE_DIR": str(self.state),
            "LOCAL_PARTS": "azurite",
            **variables,
        }
        self.environ.pop("PYTHONUNBUFFERED", None)  # as a person starts it
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, terminal: int | None = None) -> subprocess.Popen[bytes]:
        command = [str(PYTHON), "-m", "local", "up"]
        with self._output.open("ab") as stream:
            out = stream if terminal is None else terminal
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environ, stdin=terminal, stdout=out, stderr=out, start_new_session=True
            )
        return self.process

    def wait_until_ready(self) -> None:
        wait_for(lambda: self.part() is not None)

    def output(self) -> str:
        return self._output.read_text()

    def part(self) -> psutil.Process | None:
        """Azurite, once it serves."""
        file = self.state / "run" / "status.json"
        found = re.search(r'"name":"azurite","state":"ready","pid":(\d+)', file.read_text()) if file.exists() else None
        return psutil.Process(int(found[1])) if found and psutil.pid_exists(int(found[1])) else None

    def supervisor(self) -> psutil.Process:
        return next(member for member in processes.members(self.state) if "local.supervise" in member.cmdline())

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PYTHON), "-m", "local", *arguments],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def expect_nothing_left(self) -> None:
        wait_for(lambda: not processes.members(self.state))


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; fails the test when it never does."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    front = Front(tmp_path)
    yield front
    if front.process is not None and front.process.poll() is None:
        front.process.kill()
        front.process.wait()
    front.expect_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_everything(front: Front, number: signal.Signals) -> None:
    process = front.start()
    front.wait_until_ready()
    process.send_signal(number)
    assert process.wait(_PATIENCE_SECONDS) == 0
    assert processes.members(front.state) == []
    assert "nothing is left running" in front.output()
    assert not (front.state / "endpoints.env").exists()
    assert not (front.state / "client.env").exists()


def test_signal_while_it_starts_stops_everything(front: Front) -> None:
    process = front.start()
    wait_for(lambda: len(processes.members(front.state)) == 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(_PATIENCE_SECONDS) == 0
    assert processes.members(front.state) == []


def test_closed_terminal_stops_everything(front: Front) -> None:
    ours, theirs = pty.openpty()
    process = front.start(terminal=theirs)
    os.close(theirs)
    front.wait_until_ready()
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(_PATIENCE_SECONDS) == 0
    assert processes.members(front.state) == []


def test_killed_front_takes_everything_with_it_and_the_next_start_works(front: Front) -> None:
    process = front.start()
    front.wait_until_ready()
    process.kill()
    process.wait()
    front.expect_nothing_left()
    assert front.command("status").returncode == 1
    (front.state / "run" / "status.json").unlink()
    front.start()
    front.wait_until_ready()


def test_next_start_ends_what_a_killed_run_left(front: Front) -> None:
    process = front.start()
    front.wait_until_ready()
    part = front.part()
    front.supervisor().kill()
    process.kill()
    process.wait()
    assert part is not None
    assert part.is_running()
    (front.state / "run" / "status.json").unlink()
    front.start()
    front.wait_until_ready()
    assert part not in processes.members(front.state)
    assert "killed run had left behind" in front.output()


def test_dead_part_is_named_restarted_and_in_the_end_stops_the_stack(front: Front) -> None:
    front.environ["LOCAL_RESTART_LIMIT"] = "1"
    process = front.start()
    front.wait_until_ready()
    first = front.part()
    assert first is not None
    first.kill()
    wait_for(lambda: (now := front.part()) is not None and now.pid != first.pid)
    second = front.part()
    assert second is not None
    second.kill()
    assert process.wait(_PATIENCE_SECONDS) == 1
    assert front.output().count("azurite ended unexpectedly (killed by a signal)") == 2
    assert "started again (1 of 1 times)" in front.output()
    assert processes.members(front.state) == []


def test_killed_process_manager_stops_the_stack(front: Front) -> None:
    process = front.start()
    front.wait_until_ready()
    front.supervisor().kill()
    assert process.wait(_PATIENCE_SECONDS) == 1
    assert "process manager of the stack does not answer" in front.output()
    assert processes.members(front.state) == []


def test_stop_status_and_clean_from_another_shell(front: Front) -> None:
    assert front.command("stop").stdout == "The stack does not run.\n"
    process = front.start()
    front.wait_until_ready()
    status = front.command("status")
    assert status.returncode == 0
    assert re.search(r"azurite +ready +\d+ +\d+ s 127\.0\.0\.1:\d+ +restarts 0", status.stdout)
    refused = front.command("clean", "--outside")
    assert refused.returncode == 1
    assert "make stop" in refused.stderr
    assert front.command("stop").returncode == 0
    assert process.wait(_PATIENCE_SECONDS) == 0
    assert front.command("clean", "--outside").returncode == 0
    assert not front.state.exists()
