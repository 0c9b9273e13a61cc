"""Every process of a stack is found and ended, whoever its parent is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from local import processes

_STUBBORN = (
    "import os, signal, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "print(os.getpid(), flush=True)\n"
    "os.close(1)\n"
    "time.sleep(60)\n"
)


@pytest.fixture
def spawn(tmp_path: Path) -> Callable[[], int]:
    """Start a daemon of this stack that left its group, its parent and its manners behind."""

    def start() -> int:
        environ = {**os.environ, processes.TAG: str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", _STUBBORN], env=environ, stdout=subprocess.PIPE, check=True)
        return int(done.stdout)

    return start


def test_daemon_that_ignores_sigterm_is_found_and_ended(spawn: Callable[[], int], tmp_path: Path) -> None:
    pid = spawn()
    assert [process.pid for process in processes.members(tmp_path)] == [pid]
    assert processes.end(tmp_path, patience_seconds=0.3) == 1
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert processes.members(tmp_path) == []


def test_processes_of_another_stack_are_left_alone(spawn: Callable[[], int], tmp_path: Path) -> None:
    pid = spawn()
    try:
        assert processes.end(tmp_path / "other") == 0
        assert psutil.Process(pid).is_running()
    finally:
        processes.end(tmp_path)


def test_the_caller_is_no_member_of_its_own_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(processes.TAG, str(tmp_path))
    assert processes.members(tmp_path) == []


def test_group_dies_with_its_children_and_group_zero_is_never_touched() -> None:
    leader = subprocess.Popen(
        [sys.executable, "-c", "import os, time; os.fork(); time.sleep(60)"], start_new_session=True
    )
    deadline = time.monotonic() + 10
    while len(psutil.Process(leader.pid).children()) < 1:
        assert time.monotonic() < deadline
    children = psutil.Process(leader.pid).children()
    processes.kill_group(leader.pid)
    leader.wait(10)
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    processes.kill_group(leader.pid)
    processes.kill_group(0)
