"""Reads the addresses of the running stack, for the commands that work on it from another process."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from include.errors import SetupError
from local.lock import StackLock
from local.paths import ROOT
from local.settings import local_settings


def running_endpoints(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of `endpoints.env`; raises SetupError when the stack does not run."""
    state = (ROOT / local_settings(environ).state_dir).resolve()
    file = state / "endpoints.env"
    # The file of a stack that was killed stays; the lock does not.
    if StackLock(state).holder() is None or not file.exists():
        raise SetupError(f"The stack in {state} does not run; start it with `make run` in another terminal.")
    return parse(file)


def parse(file: Path) -> dict[str, str]:
    """Return the variables of a file of shell assignments."""
    words = shlex.split(file.read_text(encoding="utf-8"), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)
