"""docker-compose.yaml: valid, pinned, closed to the outside, and free of drift from settings, locks and commands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deploy.local import new_env
from deploy.other_variables import CONNECTIONS
from deploy.settings_reference import GROUPS, documented
from include.contract import sources
from include.contract.settings import load
from local import credentials, kafka, paths
from tests.unit import compose_project

DEPLOYED = {**new_env.variables()}
PROJECT = compose_project.rendered(DEPLOYED)
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
STEPS = {"topic", "lake", "warehouse", "airflow-db", "airflow-pools"}
BUILT = sorted(name for name, service in SERVICES.items() if "build" in service)

ASK_AIRFLOW = """
import json, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
refused = []
for command in json.loads(sys.argv[1]):
    try:
        get_parser().parse_args(command)
    except SystemExit:
        refused.append(command)
sections = conf.configuration_description.items()
options = [f"AIRFLOW__{section}__{name}".upper() for section, body in sections for name in body["options"]]
print(json.dumps({"refused": refused, "options": options}))
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the locked Airflow says of its options and of our commands; asked once, because its import takes seconds."""
    commands = [SERVICES[name]["command"][3:] for name in BUILT if SERVICES[name]["command"][2] == "airflow"]
    environ = {"AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")), "PATH": ""}
    asked = [str(paths.PYTHON), "-c", ASK_AIRFLOW, json.dumps(commands)]
    done = subprocess.run(asked, env=environ, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_file_follows_the_compose_specification() -> None:
    jsonschema.Draft202012Validator(compose_project.schema()).validate(compose_project.plain())


def test_the_schema_would_find_a_mistake() -> None:
    broken = compose_project.plain()
    broken["services"]["kafka"]["ports"] = {"9092": "9092"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(compose_project.schema()).validate(broken)


def test_docker_compose_reads_the_file_where_it_is_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in DEPLOYED.items()))
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        # The tests above and below check the same file without it; nothing is skipped.
        with capsys.disabled():
            sys.stdout.write(
                "\n[docker compose is not installed here: checked against its schema and by our own renderer]\n"
            )
        assert set(SERVICES) == set(compose_project.plain()["services"])
        return
    command = [docker, "compose", "--env-file", str(env_file), "-f", str(compose_project.FILE), "config"]
    command += ["--format", "json"]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert {name: service.get("environment") for name, service in answer["services"].items()} == {
        name: service.get("environment") for name, service in SERVICES.items()
    }


def test_images_from_outside_are_pinned_to_the_versions_of_the_local_stack() -> None:
    images = {name: service["image"] for name, service in SERVICES.items() if "build" not in service}
    for image in images.values():
        assert re.search(r":\d+\.\d+", image), f"{image} has no version"
    jars = tomllib.loads((compose_project.ROOT / "local/kafka/jgo.toml").read_text())
    assert images["kafka"].rpartition(":")[2] == jars["dependencies"]["coordinates"][0].rpartition(":")[2]
    azurite = json.loads((compose_project.ROOT / "local/azurite/package.json").read_text())
    assert images["azurite"].rpartition(":")[2] == azurite["dependencies"]["azurite"]


def test_ports_are_open_on_this_machine_only() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), f"{name}: {port}"


def test_secrets_have_no_default() -> None:
    secret = re.compile(r"PASSWORD|KEY|SECRET|SHA256")
    used = compose_project.variables()
    assert {use for name, uses in used.items() if secret.search(name) for use in uses} == {":?"}
    assert all(uses <= {":?"} or all(use.startswith(":-") for use in uses) for uses in used.values())


def test_new_env_makes_exactly_what_is_required_and_never_the_same_twice() -> None:
    required = {name for name, uses in compose_project.variables().items() if ":?" in uses}
    keys = {f"LOCAL_WRITE_KEY_{source}" for source in new_env.SOURCES}  # for the client, not for Compose
    assert set(DEPLOYED) == required | keys
    again = new_env.variables()
    assert {name for name in DEPLOYED if DEPLOYED[name] == again[name]} <= {"PIPELINE_START_DATE"}


def test_every_variable_is_a_documented_one() -> None:
    own_of_images = re.compile(r"KAFKA_|CLUSTER_ID|POSTGRES_(USER|DB)\Z|AIRFLOW__")
    used = {name for service in SERVICES.values() for name in service.get("environment", {})}
    used |= compose_project.variables().keys()
    unknown = {name for name in used - documented() if not own_of_images.match(name)}
    assert not unknown, f"not in .env.example: {sorted(unknown)}"


def test_airflow_knows_its_options(airflow: dict[str, Any]) -> None:
    used = {name for service in SERVICES.values() for name in service.get("environment", {}) if "__" in name}
    used |= set(re.findall(r"AIRFLOW__\w+", (compose_project.ROOT / "deploy/airflow/Dockerfile").read_text()))
    unlisted = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"}  # read by the auth manager itself
    assert used - set(airflow["options"]) <= unlisted


def test_airflow_knows_its_commands(airflow: dict[str, Any]) -> None:
    assert airflow["refused"] == []


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_settings_of_a_service_load(name: str) -> None:
    environ = SERVICES[name].get("environment", {})
    command = " ".join(SERVICES[name].get("command", []))
    for kind, prefix in [pair for group in GROUPS for pair in group.classes]:
        if _reads(command, prefix) and any(variable.startswith(prefix) for variable in environ):
            load(kind, prefix, environ)  # raises SetupError naming what is unknown, missing or wrong


def _reads(command: str, prefix: str) -> bool:
    programs = {
        "ingest_api": ("INGEST_", "TOPIC_"),
        "topic_spec": ("TOPIC_",),
        "local.snowflake": ("LOCAL_SNOWFLAKE_", "LOCAL_AZURE_"),
        "local.amplitude": ("LOCAL_AMPLITUDE_",),
        "include.migrate": ("MIGRATE_",),
        "airflow scheduler": ("PIPELINE_", "TOPIC_"),
    }
    return any(program in command and prefix in prefixes for program, prefixes in programs.items())


def test_connections_have_the_form_of_the_documented_ones() -> None:
    examples = {example.variable: example.value["conn_type"] for example in CONNECTIONS if "conn_type" in example.value}
    given = {
        name: json.loads(value)
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if name.startswith("AIRFLOW_CONN_")
    }
    assert {name: connection["conn_type"] for name, connection in given.items()} == examples


def test_the_broker_is_configured_as_on_one_machine() -> None:
    addresses = {"controller.quorum.voters", "listeners", "advertised.listeners", "listener.security.protocol.map"}
    folders = {"log.dirs"}
    lines = kafka.properties(Path("folder"), 1, 2).splitlines()
    wanted = {name: value for name, _, value in (line.partition("=") for line in lines)}
    for name in wanted.keys() - addresses - folders:
        variable = "KAFKA_" + name.upper().replace(".", "_")
        assert SERVICES["kafka"]["environment"].get(variable) == wanted[name], variable


def test_the_sources_are_those_of_the_local_stack(tmp_path: Path) -> None:
    file = tmp_path / "sources.json"
    file.write_text(PROJECT["configs"]["sources"]["content"])
    registry = sources.load(file)
    assert registry.problems == ()
    assert {source.id: source.name for source in registry.sources.values()} == credentials.SOURCES
    found = registry.find(DEPLOYED["LOCAL_WRITE_KEY_PHONE_APP"])
    assert found is not None
    assert found.id == "phone-app"


def test_services_are_watched_and_steps_end() -> None:
    for name, service in SERVICES.items():
        if name in STEPS:
            assert "restart" not in service, name
            assert "healthcheck" not in service, name
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_each_service_waits_for_the_right_thing() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in STEPS else "service_healthy"
            assert how["condition"] == wanted, f"{name} waits for {other}"
    order: list[str] = []
    while left := [name for name in SERVICES if name not in order]:
        free = [name for name in left if set(SERVICES[name].get("depends_on", {})) <= set(order)]
        assert free, f"these wait for each other: {left}"
        order += free


def test_volumes_are_named_declared_and_used() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(PROJECT["volumes"])
