"""Brings Azurite by npm's lock file, with the Node of the environment."""

from __future__ import annotations

import os
import shutil

from local.paths import ROOT, TOOLS, node, npm
from local.setup.tools import CACHE, run

SPEC = ROOT / "local" / "azurite" / "package.json"
LOCK = SPEC.with_name("package-lock.json")
FOLDER = TOOLS / "azurite"


def install() -> None:
    """Install exactly what the lock names; npm checks each package's integrity."""
    FOLDER.mkdir(exist_ok=True)
    for file in (SPEC, LOCK):
        shutil.copy(file, FOLDER)
    run_npm("azurite", FOLDER, "ci", "--omit=dev")


def run_npm(step: str, folder: os.PathLike[str], *command: str) -> None:
    """Run npm without the packages' own install scripts."""
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--cache", CACHE / "npm")
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    run(step, [*npm(), *command, *quiet], ROOT / folder, PATH=path)
