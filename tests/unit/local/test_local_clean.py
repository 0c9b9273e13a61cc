"""`make clean` of a state folder that is in another place: never by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.errors import SetupError
from local import __main__ as command
from local import cli


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    state = tmp_path / "other-clone" / ".local"
    state.mkdir(parents=True)
    (state / "credentials.json").write_text("{}")
    monkeypatch.setenv("LOCAL_STATE_DIR", str(state))
    return state


def test_a_folder_outside_of_the_clone_is_refused(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["clean"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{state} is not in this clone, so nothing is deleted.")
    assert "make clean ARGS=--outside" in said
    assert (state / "credentials.json").exists()


def test_it_is_deleted_when_it_is_meant(state: Path) -> None:
    assert command.main(["clean", "--outside"]) == 0
    assert not state.exists()


def test_a_folder_inside_of_the_clone_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    (tmp_path / ".local").mkdir()
    monkeypatch.delenv("LOCAL_STATE_DIR", raising=False)
    cli.clean()
    assert not (tmp_path / ".local").exists()


def test_the_clone_itself_is_never_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    monkeypatch.setenv("LOCAL_STATE_DIR", ".")
    with pytest.raises(SetupError, match="is the clone itself"):
        cli.clean()
