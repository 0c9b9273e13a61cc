"""The local stack's sources: made at the first start, kept at every later one, reachable by `make sources`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from include.contract.sources import hash_key, load
from include.errors import SetupError
from local import sources
from local.credentials import Credentials, load_or_create
from local.paths import PYTHON, ROOT

OWN = ["phone-app", "web-app", "car-app"]


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return load_or_create(tmp_path / "credentials.json")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return sources.file(tmp_path)


def _command(state: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [PYTHON, "-m", "local.sources", *arguments],
        cwd=ROOT,
        env={**os.environ, "LOCAL_STATE_DIR": str(state)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ended.stdout


def test_the_stack_knows_every_write_key(path: Path, credentials: Credentials) -> None:
    sources.complete(path, credentials)
    registry = load(path)
    assert registry.problems == ()
    found = {name: registry.find(key) for name, key in credentials.write_keys.items()}
    assert {name: source.id for name, source in found.items() if source} == {name: name for name in OWN}
    assert [registry.sources[name].platform for name in OWN] == ["", "web", "car"]
    assert not any(key in path.read_text() for key in credentials.write_keys.values())
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_an_operator_did_survives_the_next_start(path: Path, credentials: Credentials) -> None:
    state = path.parent / "state"
    key = _command(state, "create", "mine", "--name", "Mine", "--platform", "ios", "--quiet").strip()
    path = sources.file(state)
    sources.complete(path, credentials)
    rotated = _command(state, "rotate", "phone-app", "--quiet").strip()
    _command(state, "retire", "phone-app")
    _command(state, "disable", "web-app")
    before = path.read_bytes()
    sources.complete(path, credentials)
    assert path.read_bytes() == before
    registry = load(path)
    assert list(registry.sources) == ["mine", *OWN]
    assert registry.find(key) is registry.sources["mine"]
    assert registry.find(rotated) is registry.sources["phone-app"]
    assert registry.find(credentials.write_keys["phone-app"]) is None
    assert not registry.sources["web-app"].enabled
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_state_of_an_older_version_is_brought_up_to_date(path: Path, credentials: Credentials) -> None:
    old = {"id": "phone-app", "name": "Phone", "platform": "phone", "write_key_sha256": [hash_key("k")]}
    path.write_text(json.dumps({"sources": [old]}))
    sources.complete(path, credentials)
    registry = load(path)
    assert registry.problems == ()
    assert registry.find("k") is registry.sources["phone-app"]
    assert list(registry.sources) == OWN


def test_a_broken_file_stops_the_start(path: Path, credentials: Credentials) -> None:
    path.write_text("{")
    with pytest.raises(SetupError, match="is not a list of sources"):
        sources.complete(path, credentials)
    assert path.read_text() == "{"


@pytest.mark.parametrize("arguments", [[], ["list"], ["check"], ["rotate", "phone-app"]])
def test_before_the_first_start_the_next_step_is_named(tmp_path: Path, arguments: list[str]) -> None:
    ended = subprocess.run(
        [PYTHON, "-m", "local.sources", *arguments],
        cwd=ROOT,
        env={**os.environ, "LOCAL_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "There are no sources yet; run `make run` once, or add one with `create`.\n"
    assert not (tmp_path / "state").exists()
