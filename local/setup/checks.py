"""Checks what set-up needs from the machine, before it downloads anything."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence

from include.errors import SetupError
from local.lock import StackLock
from local.paths import ROOT, TOOLS
from local.setup.tools import Step

_GIGABYTE = 1e9
_NEEDED_BYTES = {"uv": 1e8, "venv": 3e9, "venv-api": 3e8, "kafka": 2e8, "azurite": 6e8, "sdks": 6e8}


def require(todo: Sequence[Step]) -> None:
    """Raise SetupError saying what is missing for these steps."""
    if not os.access(ROOT, os.W_OK):
        raise SetupError(f"The folder {ROOT} is not writable; clone the project into a folder of your own.")
    if ":" in str(ROOT):
        raise SetupError(f"The folder {ROOT} has a colon in its path, which ends a path for Java; move it.")
    state = ROOT / os.environ.get("LOCAL_STATE_DIR", ".local")
    runs_on_it = any(step.name != "sdks" for step in todo)
    if runs_on_it and (holder := StackLock(state).holder()):
        raise SetupError(f"The tool chain changed and the stack runs on it (process {holder}); `make stop` it first.")
    needed = sum(_NEEDED_BYTES[step.name] for step in todo)
    free = shutil.disk_usage(ROOT).free
    if free < needed:
        raise SetupError(
            f"{needed / _GIGABYTE:.1f} GB of disk space are needed in {ROOT} and {free / _GIGABYTE:.1f} GB are free; "
            "make room or clone the project elsewhere."
        )
    if any(step.name == "uv" for step in todo) and importlib.util.find_spec("ensurepip") is None:
        raise SetupError("This Python cannot make environments; install its venv package (Debian: python3-venv).")
    TOOLS.mkdir(exist_ok=True)
