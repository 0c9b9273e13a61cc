"""`endpoints.env` and the credentials: complete, private, sourceable, and the same at every start."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import msgspec
import pytest

from include.connections import connection, snowflake_parameters
from include.contract.settings import load
from include.migrate import MigrationSettings
from include.settings import pipeline_settings
from local import endpoints
from local.credentials import Credentials, load_or_create, write_private
from local.environment import require_known
from local.ports import free_ports
from local.processes import TAG
from local.settings import PORTS, LocalSettings


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return load_or_create(tmp_path / "credentials.json")


@pytest.fixture
def built(tmp_path: Path, credentials: Credentials) -> dict[str, str]:
    return endpoints.build(LocalSettings(), free_ports(PORTS), tmp_path, credentials)


def test_credentials_are_made_once_and_only_their_owner_reads_them(tmp_path: Path, credentials: Credentials) -> None:
    file = tmp_path / "credentials.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_or_create(file) == credentials
    assert load_or_create(tmp_path / "other.json") != credentials


def test_credentials_of_an_older_state_get_what_they_lack(tmp_path: Path, credentials: Credentials) -> None:
    file = tmp_path / "credentials.json"
    kept = json.loads(file.read_text())
    del kept["airflow_jwt_secret"]
    write_private(file, json.dumps(kept))
    again = load_or_create(file)
    assert again.airflow_jwt_secret
    assert again == msgspec.structs.replace(credentials, airflow_jwt_secret=again.airflow_jwt_secret)
    assert load_or_create(file) == again


def test_shell_reads_back_every_value(tmp_path: Path, built: dict[str, str]) -> None:
    file = tmp_path / "endpoints.env"
    built["ODD"] = 'it\'s "odd" $HOME `x` \\ #'
    file.write_text(endpoints.as_shell(built, "endpoints.env"))
    script = 'set -a; . "$1"; set +a; exec env -0'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", file], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    found = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)
    assert {name: found.get(name) for name in built} == built


def test_a_sourced_shell_is_never_taken_for_a_part(built: dict[str, str]) -> None:
    assert TAG not in built


def test_settings_of_every_program_accept_the_endpoints(built: dict[str, str]) -> None:
    assert pipeline_settings(built).kafka_topic == "events"
    assert load(MigrationSettings, "MIGRATE_", built).lake_url.endswith("/lake/")


def test_connections_have_the_form_that_airflow_reads(built: dict[str, str]) -> None:
    assert connection("kafka_events", built).options["bootstrap.servers"] == built["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
    assert connection("lake", built).options["connection_string"] == built["LOCAL_AZURE_CONNECTION_STRING"]
    assert snowflake_parameters(connection("warehouse", built))["port"] == int(built["LOCAL_SNOWFLAKE_PORT"])
    assert connection("amplitude", built).password == built["LOCAL_AMPLITUDE_SECRET_KEY"]


def test_everything_listens_on_this_machine_only(built: dict[str, str]) -> None:
    assert built["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert not [name for name, value in built.items() if "0.0.0.0" in value or "localhost" in value]  # noqa: S104


def test_clients_get_addresses_and_write_keys_and_nothing_else(built: dict[str, str]) -> None:
    names = {
        "LOCAL_URL_INGEST", "LOCAL_URL_AIRFLOW", "LOCAL_URL_AMPLITUDE", "LOCAL_WRITE_KEY_PHONE_APP",
        "LOCAL_WRITE_KEY_WEB_APP", "LOCAL_WRITE_KEY_CAR_APP",
    }  # fmt: skip
    assert endpoints.for_clients(built) == {name: built[name] for name in names}


def test_a_shell_that_sourced_everything_can_start_the_stack(built: dict[str, str]) -> None:
    require_known(built)
