"""Makes the Python environments from the locks, every package checked against its hash."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from include.errors import SetupError
from local.paths import ROOT, TOOLS
from local.setup.tools import CACHE, run

FOLDER = TOOLS / "uv"
UV = FOLDER / "bin" / "uv"


def uv_requirement() -> str:
    """Return the locked requirement of uv with its hashes, as in the lock of the local tools."""
    lock = (ROOT / "local" / "requirements.txt").read_text()
    found = re.search(r"^uv==.*\n(?: +--hash=.*\n)+", lock, flags=re.MULTILINE)
    if not found:
        raise SetupError("local/requirements.txt has no uv in it; restore the file or run `make lock`.")
    return found.group()


def install_uv() -> None:
    """Install the locked uv with the pip of this Python."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    run("uv", [sys.executable, "-m", "venv", FOLDER])
    wanted = FOLDER / "requirements.txt"
    wanted.write_text(uv_requirement())
    options = ("--require-hashes", "--only-binary", ":all:", "--no-deps", "--disable-pip-version-check")
    run("uv", [FOLDER / "bin" / "python", "-m", "pip", "install", *options, "-r", wanted], PIP_CACHE_DIR=CACHE / "pip")


def install(name: str, locks: Iterable[Path]) -> None:
    """Make the environment hold exactly what the locks say."""
    folder = TOOLS / name
    settings: dict[str, Any] = {"UV_CACHE_DIR": CACHE / "uv", "UV_NO_PROGRESS": 1, "UV_PYTHON_DOWNLOADS": "never"}
    if not _is_usable(folder):
        run(name, [UV, "venv", "--clear", "--python", sys.executable, folder], **settings)
    sync = ("pip", "sync", "--require-hashes", "--compile-bytecode", "--python", folder / "bin" / "python")
    run(name, [UV, *sync, *locks], **settings)


def _is_usable(folder: Path) -> bool:
    configuration, script = folder / "pyvenv.cfg", folder / "bin" / "activate"
    if not (configuration.exists() and script.exists() and (folder / "bin" / "python").exists()):
        return False
    # Scripts hold the environment's own path: a project that was moved needs a new one.
    return (
        f"version_info = {platform.python_version()}" in configuration.read_text() and str(folder) in script.read_text()
    )
