"""Resolves every lock of the project (`make lock`); the only step that chooses versions."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from local.paths import ROOT
from local.setup import install, jars, npm
from local.setup.environments import UV
from local.setup.tools import CACHE, run

_GROUPS = {"airflow": "requirements.txt", "ingest": "ingest_api/requirements.txt", "local": "local/requirements.txt"}
_OPTIONS = ("--universal", "--python-version", "3.11", "--generate-hashes", "--custom-compile-command", "make lock")


def main(arguments: Sequence[str]) -> None:
    """Write the Python locks, then those of Kafka and npm; `--upgrade` takes newer versions where they are allowed."""
    install.main(())
    constraints: list[str] = []
    for group, file in _GROUPS.items():
        command = ("pip", "compile", *_OPTIONS, "pyproject.toml", "--group", group, *constraints, *arguments)
        run("lock", [UV, *command, "-o", file], UV_CACHE_DIR=CACHE / "uv")
        print(f"  {file}", flush=True)
        # One version of each package in the whole project: each lock binds the next.
        constraints += ["-c", file]
    with tempfile.TemporaryDirectory() as folder:
        _lock_jars(Path(folder))
        for packages in npm.ALL:
            packages.resolve(Path(folder) / packages.name)
            print(f"  {packages.lock.relative_to(ROOT)}", flush=True)


def _lock_jars(folder: Path) -> None:
    shutil.copy(jars.SPEC, folder)
    jars.jgo("lock", folder, "lock")
    fresh = folder / jars.LOCK.name
    if _without_time(fresh) != _without_time(jars.LOCK):
        shutil.copy(fresh, jars.LOCK)
    print(f"  {jars.LOCK.relative_to(ROOT)}", flush=True)


def _without_time(file: Path) -> list[str]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [line for line in lines if not line.startswith("generated = ")]
