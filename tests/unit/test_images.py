"""The images of docker-compose.yaml: pinned and hashed, with the files that their commands need and no others."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import new_env
from local import paths
from tests.unit import compose_project

SERVICES: dict[str, dict[str, Any]] = compose_project.rendered(new_env.variables())["services"]
BUILT = sorted(name for name, service in SERVICES.items() if "build" in service)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each image: a folder with the files that the builder would see, and no others."""
    files = {SERVICES[name]["build"]["dockerfile"] for name in BUILT}
    return {
        file: compose_project.build_context(compose_project.ROOT / file, tmp_path_factory.mktemp("context"))
        for file in files
    }


def test_every_image_starts_from_the_same_pinned_python() -> None:
    files = {SERVICES[name]["build"]["dockerfile"] for name in BUILT}
    bases = {re.findall(r"^FROM (\S+)", (compose_project.ROOT / file).read_text(), re.MULTILINE)[0] for file in files}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases.pop())


def test_dependencies_are_installed_by_hash_and_nothing_runs_as_root() -> None:
    for file in {SERVICES[name]["build"]["dockerfile"] for name in BUILT}:
        text = (compose_project.ROOT / file).read_text()
        assert text.count("pip install") == text.count("--require-hashes")
        assert re.search(r"^USER [\w-]+$", text, re.MULTILINE)


def test_the_lock_has_the_drivers_of_the_metadata_database() -> None:
    """Airflow opens it with the named driver, and beside it with asyncpg."""
    url = SERVICES["airflow-scheduler"]["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert url.startswith("postgresql+psycopg2://")
    lock = (compose_project.ROOT / "requirements.txt").read_text()
    assert re.search(r"^psycopg2-binary==", lock, re.MULTILINE)
    assert re.search(r"^asyncpg==", lock, re.MULTILINE)


def test_what_dockerfiles_copy_reaches_the_builder(contexts: dict[str, Path]) -> None:
    for file, context in contexts.items():
        for source in re.findall(r"^COPY (\S+) ", (compose_project.ROOT / file).read_text(), re.MULTILINE):
            assert (context / source).exists(), f"{file}: {source}"
        names = {path.name for path in context.rglob("*")}
        assert not names & {".env", ".git", ".tools", ".local", "__pycache__"}


def _python_commands() -> Iterator[tuple[str, list[str]]]:
    for name in BUILT:
        yield name, SERVICES[name]["command"]
        check = SERVICES[name].get("healthcheck", {}).get("test", [])
        if len(check) > 2 and check[2].endswith(".py"):
            yield f"{name} (health)", check[1:]


@pytest.mark.parametrize(("name", "command"), list(_python_commands()))
def test_commands_exist_in_their_image(name: str, command: list[str], contexts: dict[str, Path]) -> None:
    """The module or script of a command imports from the image's own files alone, with the image's own packages."""
    service = SERVICES[name.partition(" ")[0]]
    context = contexts[service["build"]["dockerfile"]]
    python = paths.API_PYTHON if "ingest" in service["image"] else paths.PYTHON
    assert command[0] == "python"
    if command[1] != "-m":
        assert (context / command[1]).is_file()
        return
    if command[2:5] == ["airflow", "pools", "import"]:
        pools = json.loads((context / command[5]).read_text())
        assert all(pool["slots"] > 0 for pool in pools.values())
    if command[2] == "airflow":
        return  # test_airflow_knows_its_commands
    code = (
        "import importlib, sys; from pathlib import Path; sys.path[0] = '.';"
        f"module = importlib.import_module({command[2]!r});"
        f"main = importlib.import_module('{command[2]}.__main__') if hasattr(module, '__path__') else module;"
        "sys.exit(Path(main.__file__).resolve().is_relative_to(Path.cwd()) is not True)"
    )
    done = subprocess.run([python, "-c", code], cwd=context, env={"PATH": ""}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
