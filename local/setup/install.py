"""Installs the tool chain step by step: uv, two Python environments (with Java and Node), Kafka's jars, Azurite.

The tests need one step more (`python -m local.setup tests`), which `make run` does without: client SDKs and a browser.
"""

from __future__ import annotations

import fcntl
import os
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from local.paths import API_PYTHON, AZURITE_MAIN, CHROMIUM, KAFKA_LIBS, PYTHON, ROOT, TOOLS
from local.setup import checks, environments, jars, npm
from local.setup.tools import Step

_LOCKS = (ROOT / "requirements.txt", ROOT / "local" / "requirements.txt")
_API_LOCK = ROOT / "ingest_api" / "requirements.txt"


# Environments hold the paths of their folder and of their interpreter.
_PLACE = f"{ROOT} {os.path.realpath(sys.executable)} {platform.python_version()}"


def main(arguments: Sequence[str]) -> None:
    """Do every step that is not done, with `tests` those of the tests as well; returns within a moment when all are."""
    wanted = [*_steps(), *(_test_steps() if "tests" in arguments else [])]
    todo = [step for step in wanted if not step.is_done()]
    if not todo:
        return
    checks.require(todo)
    began = time.monotonic()
    print(f"Setting up in {TOOLS.name}/ ({', '.join(step.name for step in todo)}): a minute or two, once.", flush=True)
    with (TOOLS / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run([step for step in todo if not step.is_done()])
    print(f"  set up in {time.monotonic() - began:.0f} s", flush=True)


def _run(todo: Sequence[Step]) -> None:
    first = [step for step in todo if step.name in ("uv", "venv")]
    for step in first:
        step.run()
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(step.run) for step in todo if step not in first]:
            done.result()


def _steps() -> list[Step]:
    venv, api, kafka = TOOLS / "venv", TOOLS / "venv-api", TOOLS / "kafka"
    return [
        Step(
            "uv",
            "uv",
            (environments.uv_requirement(), _PLACE),
            environments.FOLDER,
            environments.UV,
            environments.install_uv,
        ),
        Step(
            "venv",
            "Airflow, clients, stand-ins, Java, Node, test tools",
            (*_LOCKS, _PLACE),
            venv,
            PYTHON,
            _install_venv,
        ),
        Step("venv-api", "ingest API", (_API_LOCK, _PLACE), api, API_PYTHON, _install_venv_api),
        Step("kafka", "Apache Kafka", (jars.LOCK,), kafka, KAFKA_LIBS, jars.install),
        Step("azurite", "Azurite", (npm.AZURITE.lock,), npm.AZURITE.folder, AZURITE_MAIN, npm.AZURITE.install),
    ]


def _test_steps() -> list[Step]:
    inputs, chromium = (npm.CLIENTS.lock, npm.UNPACK), CHROMIUM / "chromium"
    title = "client SDKs and Chromium, for the tests"
    return [Step("sdks", title, inputs, npm.CLIENTS.folder, chromium, npm.install_clients)]


def _install_venv() -> None:
    environments.install("venv", _LOCKS)


def _install_venv_api() -> None:
    environments.install("venv-api", (_API_LOCK,))
