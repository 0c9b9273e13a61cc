"""The services of docker-compose.yaml outside containers: their commands, environment and health checks, on real parts.

Addresses, ports and folders of the containers are replaced by free ones on 127.0.0.1; each service runs in a folder
that has only the files of its image. Not tried here: the images' own builds, and Postgres.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from deploy.local import new_env
from local import paths
from local.ports import free_ports
from local.stack import Stack
from tests.unit import compose_project, documents

READY_SECONDS = 60.0
SECRETS = new_env.variables()
PROJECT = compose_project.rendered(SECRETS)


class Containers:
    """Runs services of the file as plain processes and ends them together."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.ports = free_ports(["8000", "8084", "8085"])
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "sources.json").write_text(PROJECT["configs"]["sources"]["content"])
        azurite = f"127.0.0.1:{stack.endpoints['LOCAL_AZURITE_PORT']}"
        self._replaced = {
            "kafka:19092": stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
            "azurite:10000": azurite,
            '"host": "snowflake", "port": 8084': f'"host": "127.0.0.1", "port": {self.ports["8084"]}',
            "/run/sources.json": str(folder / "sources.json"),
            "/var/lib/": f"{folder}/",
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - what a container listens on, replaced here
            **{f"127.0.0.1:{inside}": f"127.0.0.1:{here}" for inside, here in self.ports.items()},
        }

    def run(self, name: str, **more: str) -> str:
        """Run a step to its end and return what it printed."""
        service = PROJECT["services"][name]
        done = subprocess.run(
            self._command(service, service["command"]), env=self._environ(service, more), cwd=self._context(service),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, name: str, **more: str) -> None:
        """Start a service and return when its own health check says that it serves."""
        service = PROJECT["services"][name]
        environ, context = self._environ(service, more), self._context(service)
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                self._command(service, service["command"]), env=environ, cwd=context, stdout=log, stderr=log
            )
        check = self._command(service, service["healthcheck"]["test"][1:])
        deadline = time.monotonic() + READY_SECONDS
        while subprocess.run(check, env=environ, cwd=context, capture_output=True, check=False).returncode:
            assert self._running[name].poll() is None, f"{name} ended: {self.log(name)}"
            assert time.monotonic() < deadline, f"{name} is not healthy: {self.log(name)}"
            time.sleep(0.2)

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def stop(self) -> None:
        for process in reversed(self._running.values()):
            process.terminate()
        for name, process in self._running.items():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                sys.stderr.write(f"{name} did not end on SIGTERM\n")
                raise

    def _command(self, service: Mapping[str, Any], command: list[str]) -> list[str]:
        python = paths.API_PYTHON if service["image"].endswith("ingest-api") else paths.PYTHON
        assert command[0] == "python"
        return [str(python), *map(self._here, command[1:])]

    def _environ(self, service: Mapping[str, Any], more: Mapping[str, str]) -> dict[str, str]:
        found = {name: self._here(value) for name, value in service["environment"].items()}
        moved = {name: str(self.ports[value]) for name, value in found.items() if value in self.ports}
        return {"PATH": os.defpath, **found, **moved, **more}

    def _context(self, service: Mapping[str, Any]) -> Path:
        target = self._folder / str(service["image"]).rpartition("/")[2]
        if not target.exists():
            target.mkdir()
            compose_project.build_context(compose_project.ROOT / service["build"]["dockerfile"], target)
        return target

    def _here(self, text: str) -> str:
        for inside, here in self._replaced.items():
            text = text.replace(inside, here)
        return text


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    with ExitStack() as cleanup:
        folder = tmp_path_factory.mktemp("compose")
        stack = cleanup.enter_context(Stack(folder / "state", parts=("kafka", "azurite"), ports="free"))
        found = Containers(stack, folder)
        cleanup.callback(found.stop)
        yield found


def test_the_services_come_up_in_their_order_and_take_an_event(containers: Containers, tmp_path: Path) -> None:
    assert "topic events is as needed" in containers.run("topic")
    assert "container lake: created" in containers.run("lake")
    containers.start("snowflake")
    assert "statements applied to ANALYTICS" in containers.run("warehouse")
    containers.start("amplitude", LOCAL_AMPLITUDE_IMPORT_SECONDS="0")
    containers.start("ingest-api", INGEST_PORT=str(containers.ports["8000"]))

    poll = urllib.request.Request(f"http://127.0.0.1:{containers.ports['8085']}/_standin/poll", method="POST")
    with urllib.request.urlopen(poll) as answer:  # noqa: S310 - our own
        state = json.load(answer)
    assert not state.get("last_error"), state

    (example,) = documents.blocks(compose_project.ROOT / "docs" / "client-guide.md", "python")
    client = tmp_path / "client.py"
    client.write_text(example)
    environ = {**SECRETS, "LOCAL_URL_INGEST": f"http://127.0.0.1:{containers.ports['8000']}"}
    done = subprocess.run([paths.PYTHON, client], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "{'accepted': 2, 'quarantined': []}", done.stderr


def test_airflows_database_and_pools_are_made(containers: Containers, tmp_path: Path) -> None:
    """In SQLite instead of Postgres; the pools are those that the DAGs name."""
    own = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db"}
    containers.run("airflow-db", **own)
    containers.run("airflow-pools", **own)
    wanted = json.loads((compose_project.ROOT / "deploy/airflow/pools.json").read_text())
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as database:
        slots = dict(database.execute("SELECT pool, slots FROM slot_pool"))
    assert {name: slots.get(name) for name in wanted} == {name: pool["slots"] for name, pool in wanted.items()}
