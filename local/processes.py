"""Finds and ends every process of one stack, whoever its parent is now, so that nothing stays running."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

TAG = "STACK_STATE_DIR"
"""Variable that every process of a stack carries; `endpoints.env` never does, so no shell is ever taken for a part."""


_POLL_SECONDS = 0.1


def members(state_dir: Path) -> list[psutil.Process]:
    """Return the living processes of the stack whose state is in this folder, the caller excepted."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _belongs(process, state_dir)]


def end(state_dir: Path, patience_seconds: float = 0.0) -> int:
    """End all of them, politely first where there is patience; returns how many there were."""
    found = members(state_dir)
    if found and patience_seconds:
        ask_to_end(state_dir, patience_seconds)
    while left := members(state_dir):
        for process in left:
            _send(process, "kill")
        time.sleep(_POLL_SECONDS)
    return len(found)


def ask_to_end(state_dir: Path, patience_seconds: float) -> None:
    """Ask all of them at once and wait; does not reap, because a parent of theirs may be the caller."""
    for process in members(state_dir):
        _send(process, "terminate")
    deadline = time.monotonic() + patience_seconds
    while members(state_dir) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def kill_group(leader: int) -> None:
    """Kill what is left of a process group, if anything is."""
    if leader <= 1:  # 0 is the group of the caller itself, and a part that never ran has no process
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _belongs(process: psutil.Process, state_dir: Path) -> bool:
    try:
        return process.environ().get(TAG) == str(state_dir) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _send(process: psutil.Process, action: str) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        getattr(process, action)()
