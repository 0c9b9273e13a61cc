"""Parameters of a backfill: defaults that write nothing, and wrong ones that are named."""

from __future__ import annotations

from typing import Any

import pytest

from include.backfill.wish import MODES, Wish, wish
from include.errors import SetupError


def test_nothing_asked_for_writes_nothing() -> None:
    assert wish({}) == Wish("check")
    assert wish({"mode": "check", "reason": "", "occurred_from": None}).changes is False


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "check"])
def test_what_changes_something_needs_a_reason(mode: str) -> None:
    for reason in ("", "  "):
        with pytest.raises(SetupError, match=f"mode {mode} needs a reason"):
            wish({"mode": mode, "reason": reason})
    assert wish({"mode": mode, "reason": "because"}).changes


@pytest.mark.parametrize(("parameters", "said"), [
    ({"mode": "erase"}, "modes are check, heal, reload, restate, redrive"),
    ({"publish": "yes"}, "publish"),
    ({"occurred_from": "last week"}, "occurred_from"),
    ({"nope": 1}, "nope"),
    ({"occurred_from": "2026-11-03", "occurred_to": "2026-11-01"}, "2026-11-03 is after occurred_to 2026-11-01"),
])  # fmt: skip
def test_a_wrong_parameter_is_named(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        wish(parameters)


def test_dates_are_inclusive_and_no_dates_mean_all() -> None:
    asked = wish({"occurred_from": "2026-11-01", "occurred_to": "2026-11-02"})
    assert [asked.concerns({day}) for day in ("2026-10-31", "2026-11-01", "2026-11-02", "2026-11-03")] == [
        False, True, True, False,
    ]  # fmt: skip
    assert asked.concerns({"2026-10-31", "2026-11-02"})
    assert not asked.concerns(set())
    assert wish({}).concerns(set())
    assert wish({"occurred_from": "2026-11-01"}).concerns({"2030-01-01"})
