""".env.example and the configuration page: equal to the settings classes, loadable, and naming what the code reads."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from deploy import settings_reference
from deploy.local import new_env
from deploy.other_variables import COMPOSE_SECRETS, CONNECTIONS, WRITTEN_BY_THE_STACK, Example
from include.connections import ConnectionSpec
from include.contract.settings import Setting, load, reference
from local.credentials import load_or_create
from local.endpoints import build
from local.settings import PORTS, LocalSettings

ROOT = settings_reference.ROOT
FILE = ROOT / ".env.example"
REQUIRED = {
    "PIPELINE_SOURCES_FILE": "sources.json",
    "PIPELINE_PSEUDONYM_KEY": "00" * 32,
    "BACKFILL_AIRFLOW_URL": "http://127.0.0.1:8080",
    "MIGRATE_LAKE_URL": "azure://account.blob.core.windows.net/lake/",
    "LOCAL_AMPLITUDE_API_KEY": "key",
    "LOCAL_AMPLITUDE_SECRET_KEY": "secret",
    "LOCAL_AMPLITUDE_DIR": "folder",
}


def _assignments() -> dict[str, str]:
    words = shlex.split(FILE.read_text(), comments=True)
    return dict(word.split("=", 1) for word in words)


def _settings() -> list[Setting]:
    return [setting for group in settings_reference.GROUPS for setting in settings_reference.settings_of(group)]


@pytest.mark.parametrize("file", settings_reference.FILES, ids=lambda file: file.name)
def test_files_are_what_the_generator_writes(file: Path) -> None:
    wanted = settings_reference.FILES[file]()
    assert file.read_text() == wanted, f"run python -m deploy.settings_reference to update {file.name}"


def test_every_setting_has_a_sentence_and_is_named_once() -> None:
    settings = _settings()
    assert all(setting.description for setting in settings)
    names = [setting.variable for setting in settings]
    assert len(names) == len(set(names))


def test_no_settings_class_is_left_out() -> None:
    found = {
        node.name
        for folder in ("include", "ingest_api", "local", "bench")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings")
    }
    assert found == {kind.__name__ for group in settings_reference.GROUPS for kind, _ in group.classes}


def test_a_shell_reads_every_default_from_the_file() -> None:
    assert _assignments() == {setting.variable: setting.default or "" for setting in _settings()}


def test_the_file_loads_as_settings_once_the_required_ones_are_filled_in() -> None:
    environ = _assignments()
    assert {setting.variable for setting in _settings() if setting.default is None} == set(REQUIRED)
    for group in settings_reference.GROUPS:
        for kind, prefix in group.classes:
            known = {setting.variable for setting in reference(kind, prefix)}
            shown = {setting.variable for setting in settings_reference.settings_of(group)}
            # A variable that the stack and a stand-in share is shown with the stack's default, which the stand-in gets.
            own = {name: value for name, value in {**environ, **REQUIRED}.items() if name in known & shown}
            required = {name: value for name, value in own.items() if name in REQUIRED}
            assert load(kind, prefix, own) == load(kind, prefix, required)


def test_the_names_carry_their_units() -> None:
    units = {"timeout", "interval", "delay", "grace", "linger", "retention", "wait", "abort"}
    for setting in _settings():
        words = set(setting.variable.lower().split("_"))
        if words & units and setting.type_name in {"int", "float"}:
            assert words & {"ms", "seconds"}, f"{setting.variable} does not say its unit"


def test_the_running_stack_writes_only_documented_names(tmp_path: Path) -> None:
    ports = dict.fromkeys(PORTS, 1)
    written = build(LocalSettings(), ports, tmp_path, load_or_create(tmp_path / "credentials.json"))
    own = {name for name in written if not name.startswith("AIRFLOW__")}
    assert own <= settings_reference.documented()
    described = WRITTEN_BY_THE_STACK.keys()
    assert described <= own, "these are described and no longer written"


def test_new_env_and_compose_secrets_are_the_same() -> None:
    made = new_env.variables().keys()
    assert COMPOSE_SECRETS.keys() <= made
    assert made <= settings_reference.documented()


@pytest.mark.parametrize("example", CONNECTIONS, ids=lambda example: example.sentence)
def test_examples_of_connections_are_readable(example: Example) -> None:
    if example.variable.startswith("AIRFLOW_CONN_"):
        assert msgspec.convert(example.value, ConnectionSpec).conn_type
    else:
        assert msgspec.convert(example.value, dict[str, str])


def test_what_the_code_reads_directly_is_documented() -> None:
    read = {name for file in _sources() for name in _read_in(file)}
    assert "PIPELINE_STAGE_CRON" in read  # the search finds something
    prefixes = ("INGEST_", "TOPIC_", "PIPELINE_", "MIGRATE_", "LOCAL_", "AIRFLOW_CONN_")
    assert {name for name in read if name.startswith(prefixes)} <= settings_reference.documented()


def test_defaults_repeated_in_dag_files_are_those_of_the_settings() -> None:
    defaults = {setting.variable: setting.default for setting in _settings()}
    for file in (ROOT / "dags").glob("*.py"):
        for name, default in _read_in(file).items():
            if default is not None:
                assert default == defaults[name], f"{file.name}: {name}"


def _sources() -> Iterator[Path]:
    for folder in ("dags", "plugins", "include", "ingest_api", "local", "bench", "deploy"):
        yield from (ROOT / folder).rglob("*.py")


def _read_in(file: Path) -> dict[str, str | None]:
    """Return the variables that a file reads by name from `environ`, each with the default written there."""
    found: dict[str, str | None] = {}
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(attr="environ"), attr="get"),
                args=[ast.Constant(value=str(name)), *rest],
            ):
                found[name] = str(rest[0].value) if rest and isinstance(rest[0], ast.Constant) else None
            case ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(value=str(name))):
                found[name] = None
    return found
