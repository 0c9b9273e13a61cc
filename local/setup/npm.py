"""Brings what comes from npm by its lock files, with the environment's Node: Azurite, and the SDKs of the tests."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from local.paths import CHROMIUM, ROOT, SDKS, TOOLS, node, npm
from local.setup.tools import CACHE, run

UNPACK = ROOT / "tests" / "sdks" / "unpack_chromium.mjs"


@dataclass(frozen=True)
class Packages:
    """One package.json with its lock, and where its packages go."""

    name: str
    source: Path
    folder: Path

    @property
    def spec(self) -> Path:
        """The wanted packages."""
        return self.source / "package.json"

    @property
    def lock(self) -> Path:
        """The exact ones, with their checksums."""
        return self.source / "package-lock.json"

    def install(self) -> None:
        """Install exactly what the lock names; npm checks each package's integrity."""
        self.folder.mkdir(exist_ok=True)
        for file in (self.spec, self.lock):
            shutil.copy(file, self.folder)
        run_npm(self.name, self.folder, "ci", "--omit=dev")

    def resolve(self, work: Path) -> None:
        """Write the lock again, in a work folder."""
        work.mkdir()
        for file in (self.spec, self.lock):
            if file.exists():
                shutil.copy(file, work)
        # Without the address of the registry it was resolved from: the lock works behind any mirror.
        run_npm("lock", work, "install", "--package-lock-only", "--omit-lockfile-registry-resolved")
        shutil.copy(work / self.lock.name, self.lock)


AZURITE = Packages("azurite", ROOT / "local" / "azurite", TOOLS / "azurite")
CLIENTS = Packages("sdks", ROOT / "tests" / "sdks", SDKS)
ALL = (AZURITE, CLIENTS)


def install_clients() -> None:
    """Install the SDKs and unpack the Chromium that comes with them, so that no test has to."""
    CLIENTS.install()
    shutil.rmtree(CHROMIUM, ignore_errors=True)
    CHROMIUM.mkdir()
    run(CLIENTS.name, [node(), UNPACK, SDKS], TMPDIR=CHROMIUM)


def run_npm(step: str, folder: os.PathLike[str], *command: str) -> None:
    """Run npm without the packages' own install scripts."""
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--cache", CACHE / "npm")
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    run(step, [*npm(), *command, *quiet], ROOT / folder, PATH=path)
