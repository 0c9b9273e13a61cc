"""Commands of the pipeline on the stack: a shell's own connections win, and are never mixed with the stack's."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from include.errors import SetupError
from local import with_stack


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    def endpoints(environ: Mapping[str, str]) -> dict[str, str]:
        return {"AIRFLOW_CONN_LAKE": "stack", "AIRFLOW_CONN_WAREHOUSE": "stack", "PIPELINE_KAFKA_TOPIC": "events"}

    monkeypatch.setattr(with_stack, "running_endpoints", endpoints)


@pytest.mark.usefixtures("running")
def test_a_shell_without_connections_works_on_the_running_stack() -> None:
    assert with_stack.environment({"PATH": "/bin"}) == {
        "PATH": "/bin", "AIRFLOW_CONN_LAKE": "stack", "AIRFLOW_CONN_WAREHOUSE": "stack",
        "PIPELINE_KAFKA_TOPIC": "events",
    }  # fmt: skip


@pytest.mark.usefixtures("running")
def test_a_shell_with_a_connection_keeps_exactly_its_own() -> None:
    own = {"AIRFLOW_CONN_LAKE": "production"}
    assert with_stack.environment(own) == own


def test_without_either_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(environ: Mapping[str, str]) -> dict[str, str]:
        raise SetupError("The stack does not run; start it with `make run`.")

    monkeypatch.setattr(with_stack, "running_endpoints", nothing)
    monkeypatch.setattr("os.environ", {"PATH": "/bin"})
    with pytest.raises(SystemExit, match=r"make run.*Or set the AIRFLOW_CONN_"):
        with_stack.main(["include.trace", "x"])
