"""The table of parts: what is chosen with what, and in which order it may start."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.errors import SetupError
from local.credentials import load_or_create
from local.endpoints import build
from local.parts import EVERYTHING, Part, catalogue, choose, temporary
from local.ports import free_ports
from local.settings import PORTS, LocalSettings


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Part]:
    credentials = load_or_create(tmp_path / "credentials.json")
    return catalogue(tmp_path, build(LocalSettings(), free_ports(PORTS), tmp_path, credentials))


def test_part_brings_what_it_needs(parts: dict[str, Part]) -> None:
    assert list(choose(parts, ["ingest"])) == ["kafka-format", "kafka", "topic", "ingest"]


def test_airflow_stands_for_its_components(parts: dict[str, Part]) -> None:
    chosen = choose(parts, ["airflow"])
    assert {
        "airflow-db",
        "airflow-api-server",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
    } == set(chosen)


def test_everything_is_every_part(parts: dict[str, Part]) -> None:
    assert set(choose(parts, EVERYTHING)) == set(parts)


def test_unknown_part_is_refused(parts: dict[str, Part]) -> None:
    with pytest.raises(SetupError, match="no part 'spark'"):
        choose(parts, ["spark"])


def test_start_order_has_no_circle_and_no_unknown_name(parts: dict[str, Part]) -> None:
    started: set[str] = set()
    while len(started) < len(parts):
        now = {name for name, part in parts.items() if {*part.needs, *part.after} <= started} - started
        assert now, f"{set(parts) - started} wait for one another"
        started |= now


def test_no_secret_is_on_a_command_line(parts: dict[str, Part], tmp_path: Path) -> None:
    credentials = load_or_create(tmp_path / "credentials.json")
    secrets = [credentials.pseudonym_key, credentials.amplitude_secret_key, *credentials.write_keys.values()]
    words = [word for part in parts.values() for word in part.command]
    assert not [word for word in words for secret in secrets if secret in word]
    assert not [word for word in words if "AccountKey" in word]


def test_what_the_warehouse_writes_in_passing_stays_in_the_state(parts: dict[str, Part], tmp_path: Path) -> None:
    assert parts["snowflake"].command[:2] == ("env", f"TMPDIR={temporary(tmp_path)}")
    assert temporary(tmp_path).is_relative_to(tmp_path)
