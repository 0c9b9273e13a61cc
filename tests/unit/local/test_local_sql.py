"""The SQL prompt: where a statement ends, and what a person gets when the stack does not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import sql


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT 1;\n", ["SELECT 1"]),
        ("SELECT 1\n", ["SELECT 1"]),
        ("SELECT\n  1 -- one\n;\nSELECT 2;", ["SELECT\n  1 -- one", "SELECT 2"]),
        ("SELECT ';' AS a,\n2;\n", ["SELECT ';' AS a,\n2"]),
        ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
        (";\n\n  ;\n", []),
        ("", []),
    ],
)
def test_statements_end_with_semicolons(text: str, found: list[str]) -> None:
    assert list(sql.statements(text)) == found


def test_prompt_knows_quit_and_help_and_takes_statements_over_several_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["help", "SELECT", "  1;", "", "SELECT 2;", "quit"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(lines))
    assert list(sql._typed()) == ["SELECT\n  1;", "SELECT 2;"]
    assert "Database ANALYTICS" in capsys.readouterr().out


def test_stack_that_does_not_run_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCAL_STATE_DIR", str(tmp_path / "state"))
    assert sql.main(["SELECT 1"]) == 1
    assert "does not run; start it with `make run`" in capsys.readouterr().err


def test_file_left_by_a_killed_stack_is_not_taken_for_a_running_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "endpoints.env").write_text("AIRFLOW_CONN_WAREHOUSE='{}'\n")
    monkeypatch.setenv("LOCAL_STATE_DIR", str(tmp_path))
    assert sql.main(["SELECT 1"]) == 1
    assert "does not run" in capsys.readouterr().err
