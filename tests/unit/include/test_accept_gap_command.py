"""The command accept-gap without any part: what it refuses before it looks, and who accepts."""

from __future__ import annotations

import getpass

import pytest

from include import accept_gap, accepting
from include.errors import SetupError
from include.lake import Lake


class NoLake(Lake):
    """A lake that nothing may be written to."""

    def __init__(self) -> None:
        self.topic = "events"


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_reason_must_say_something(reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        accept_gap.main(["--reason", reason], {})
    assert "--reason must say why" in capsys.readouterr().err


@pytest.mark.parametrize(("reason", "by"), [(" ", "on-call"), ("because", " "), ("because", "")])
def test_an_acceptance_has_a_reason_and_somebody_who_gives_it(reason: str, by: str) -> None:
    with pytest.raises(SetupError, match=r"needs a reason and who gives it: --reason TEXT \[--by NAME\]"):
        accepting.accept(NoLake(), [], reason, by)


def test_what_is_missing_in_the_environment_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert accept_gap.main([], {}) == 1
    assert capsys.readouterr().err.startswith("wrong settings: ")


def test_a_container_without_users_leaves_it_to_by(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert accept_gap._login() == ""
