"""Brings Kafka's jars by jgo's lock file, each checked against its SHA-256."""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
from pathlib import Path

from include.errors import SetupError
from local.paths import KAFKA_LIBS, PYTHON, ROOT, TOOLS, java
from local.setup.tools import CACHE, run

SPEC = ROOT / "local" / "kafka" / "jgo.toml"
LOCK = SPEC.with_name("jgo.lock.toml")
_REPOSITORY = CACHE / "maven"


def install() -> None:
    """Download what the lock names, check it, and put it in place as a whole."""
    work = TOOLS / "kafka" / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for file in (SPEC, LOCK):
        shutil.copy(file, work)
    jgo("kafka", work, "sync")
    fresh = work / "libs"
    fresh.mkdir()
    for row in tomllib.loads(LOCK.read_text())["dependencies"]:
        jar = _jar(row)
        _require_sha256(jar, row["sha256"])
        shutil.copy2(jar, fresh)
    shutil.rmtree(KAFKA_LIBS, ignore_errors=True)
    fresh.rename(KAFKA_LIBS)
    shutil.rmtree(work)


def jgo(step: str, folder: Path, *command: str) -> None:
    """Run jgo in a folder with its own resolver and caches, without Maven and without the user's configuration."""
    options = ("--ignore-config", "--color", "plain", "--quiet", "--resolver", "python", "--timeout", "60")
    caches = ("--repo-cache", _REPOSITORY, "--cache-dir", CACHE / "jgo")
    # jgo looks for a Java to inspect the jars with, and would download one.
    home = java().parent.parent
    path = f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    run(step, [PYTHON, "-m", "jgo", *options, *caches, *command], folder, PATH=path, JAVA_HOME=home)


def _jar(row: dict[str, str]) -> Path:
    folder = _REPOSITORY.joinpath(*row["groupId"].split("."), row["artifactId"], row["version"])
    return folder / f"{row['artifactId']}-{row['version']}.jar"


def _require_sha256(jar: Path, wanted: str) -> None:
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    if found != wanted:
        jar.unlink()
        raise SetupError(f"{jar.name} is not the file that was locked (SHA-256 {found}); run `make setup` again.")
