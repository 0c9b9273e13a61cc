"""Where the smoke run looks: a stack of its own is read whole, so that no row can hide behind a wrong time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from local.smoke import scope
from local.smoke.scope import Scope


def test_a_stack_of_its_own_is_read_whole_and_a_running_one_from_now_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "kafka_ends", lambda _: {0: 0})
    monkeypatch.setattr("local.reader.vendor_ids.stats", lambda _: {"last_row": 0, "duplicates": 0})
    endpoints = {"LOCAL_URL_AMPLITUDE": "http://127.0.0.1:1"}
    assert Scope.now(endpoints, alone=True).since.year == 1
    assert datetime.now(UTC) - Scope.now(endpoints).since < timedelta(minutes=1)
