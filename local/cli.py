"""The stack's commands for people: run it in the foreground, stop it, look at it, delete its state."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import msgspec

from include.errors import SetupError
from local import processes
from local.environment import require_known
from local.lock import StackLock
from local.paths import ROOT
from local.settings import local_settings
from local.signals import StopRequested, stop_requests
from local.stack import Stack
from local.watch import PartStatus

_STOP_SECONDS = 90.0
_TICK_SECONDS = 0.5


def up() -> int:
    """Run the whole stack until Ctrl-C, SIGTERM, a closed terminal or `make stop`; 1 when it could not go on."""
    began = time.monotonic()
    stack = Stack(say=lambda line: say(f"{time.monotonic() - began:6.1f} s  {line}"))
    with stop_requests() as requests:
        try:
            require_known(os.environ)
            stack.start()
            say(_welcome(stack))
            return _watch(stack)
        except StopRequested as request:
            say(f"{request}: stopping …")
            stack.stop()
            say("Stopped; nothing is left running.")
            return 0
        except SetupError as error:
            say(str(error))
            return 1
        finally:
            requests.ignore()
            stack.stop()


def _watch(stack: Stack) -> int:
    """Follow the parts until one is beyond its restarts; returns the exit status."""
    try:
        while True:
            stack.tick()
            time.sleep(_TICK_SECONDS)
    except SetupError as error:
        say(f"{error}\nThe stack stops.")
        return 1


def stop() -> int:
    """Stop the stack that another process runs, and wait until nothing of it is left."""
    state = _state()
    holder = StackLock(state).holder()
    if holder:
        os.kill(holder, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while StackLock(state).holder():
            if time.monotonic() > deadline:
                raise SetupError(f"Process {holder} did not stop within {_STOP_SECONDS:.0f} s; end it with kill -9.")
            time.sleep(0.1)
    left = processes.end(state, patience_seconds=10)
    say("Stopped." if holder or left else "The stack does not run.")
    return 0


def status() -> int:
    """Print the state of every part; 1 when the stack does not run."""
    state = _state()
    file = state / "run" / "status.json"
    if not StackLock(state).holder() or not file.exists():
        say("The stack does not run.")
        return 1
    for part in msgspec.json.decode(file.read_bytes(), type=list[PartStatus]):
        port = f"127.0.0.1:{part.port}" if part.port else ""
        up_for = f"{part.uptime_seconds:.0f} s" if part.pid else ""
        say(f"{part.name:22} {part.state:9} {part.pid or '':>8} {up_for:>9} {port:16} restarts {part.restarts}")
    return 0


def clean(*, outside: bool = False) -> int:
    """Delete the stack's state; refuses while it runs, and a folder elsewhere unless `outside` is set."""
    state = _state()
    if state == ROOT:
        raise SetupError(f"{state} is the clone itself; set LOCAL_STATE_DIR to the folder of the state.")
    if not outside and state.exists() and not state.is_relative_to(ROOT):
        raise SetupError(
            f"{state} is not in this clone, so nothing is deleted. Perhaps LOCAL_STATE_DIR comes from another clone's "
            "endpoints.env: `unset LOCAL_STATE_DIR`. If that folder is meant: make clean ARGS=--outside"
        )
    lock = StackLock(state)
    shutil.rmtree(state.with_name(f"{state.name}.deleted"), ignore_errors=True)
    if not state.exists():
        return 0
    lock.acquire()
    try:
        processes.end(state, patience_seconds=10)
        # Out of the way first: an interrupted deletion must not leave half a state to go on with.
        doomed = state.rename(state.with_name(f"{state.name}.deleted"))
        shutil.rmtree(doomed)
    finally:
        lock.release()
    say(f"Deleted {state}.")
    return 0


def say(line: str) -> None:
    """Print a line; a terminal that is gone must neither keep the stack from stopping nor make a good end a bad one."""
    try:
        print(line, flush=True)
    except OSError:
        # What the failed write left in the buffer is written once more when Python ends, with exit status 120.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _state() -> Path:
    return (ROOT / local_settings().state_dir).resolve()


def _welcome(stack: Stack) -> str:
    places = stack.endpoints
    return "\n".join(
        [
            "",
            "The stack is ready.",
            f"  ingest API   {places['LOCAL_URL_INGEST']}/docs",
            f"  Airflow      {places['LOCAL_URL_AIRFLOW']}",
            f"  for clients  set -a; . {stack.state_dir / 'client.env'}; set +a",
            f"  logs         {stack.state_dir / 'logs'}",
            "  stop         Ctrl-C, or `make stop`",
            "",
        ]
    )
