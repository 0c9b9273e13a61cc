"""Confirming: any number of ids is one file, one COPY and one UPDATE, and nothing of it is left behind."""

from __future__ import annotations

from typing import Any

import pytest

from include.confirming import IDS_AT_ONCE, confirm
from include.errors import TransientError
from include.warehouse import Warehouse
from tests.unit.include.fakes import LakeOfIds, RecordingConnection

DATES = ["2026-11-23"]


def warehouse(rows: int, **answers: Any) -> RecordingConnection:
    return RecordingConnection({"SELECT COUNT(*) FROM LANDING.L_": [(rows,)], **answers})


def test_confirmations_are_written_in_bounded_statements() -> None:
    count = IDS_AT_ONCE + 1
    fake, lake = warehouse(count), LakeOfIds()
    ids = [str(number) for number in range(count)]
    confirm(lake, Warehouse(fake), "amplitude", DATES, iter(ids))  # type: ignore[arg-type]
    assert [effect.split()[0] for effect in fake.effects] == ["CREATE", "COPY", "SELECT", "UPDATE", "DROP"]
    assert max(len(text) + len(repr(values)) for text, values in fake.statements) < 2_000
    assert lake.landed == ids
    assert f"in groups of [{IDS_AT_ONCE}, 1]" in lake.effects[1]
    update = next(text for text, _ in fake.statements if text.startswith("UPDATE"))
    assert "OCCURRED_ON IN ('2026-11-23')" in update


def test_nothing_is_asked_of_the_warehouse_where_the_vendor_has_nothing() -> None:
    fake = warehouse(0)
    confirm(LakeOfIds(), Warehouse(fake), "amplitude", DATES, [])  # type: ignore[arg-type]
    assert fake.effects == []


def test_the_file_and_the_table_go_whatever_happens() -> None:
    fake, lake = warehouse(1, **{"UPDATE PUBLISH.DELIVERIES": TransientError("busy")}), LakeOfIds()
    with pytest.raises(TransientError, match="busy"):
        confirm(lake, Warehouse(fake), "amplitude", DATES, ["a"])  # type: ignore[arg-type]
    assert fake.effects[-1] == "DROP TABLE IF"
    assert [effect.split()[0] for effect in lake.effects] == ["sweep", "commit", "remove"]
    assert lake.effects[2].split()[1] == lake.effects[1].split()[1]
    assert lake.effects[2].startswith("remove landing/amplitude/L_")
