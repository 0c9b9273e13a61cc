"""`make backfill`: make's variables become the command's arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.backfill import arguments, main


def test_variables_become_options_and_empty_ones_nothing() -> None:
    environ = {"FROM": "2026-11-22", "TO": "2026-11-23", "MODE": "", "REASON": 'a "good" one', "PUBLISH": "true"}
    assert arguments(["--no-wait"], environ) == [
        "--from", "2026-11-22", "--to", "2026-11-23", "--reason", 'a "good" one', "--publish", "--no-wait",
    ]  # fmt: skip


@pytest.mark.parametrize("no", ["", "0", "false", "No"])
def test_a_flag_can_be_said_to_be_off(no: str) -> None:
    assert arguments([], {"RESUME": no, "OCCURRED": no}) == []
    assert arguments([], {"RESUME": "1", "OCCURRED": "yes"}) == ["--occurred", "--resume"]


def test_without_a_stack_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {"LOCAL_STATE_DIR": str(tmp_path)}) == 2
    assert "does not run; start it with `make run`" in capsys.readouterr().err
