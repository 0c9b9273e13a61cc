"""Sealing: the validation document of a plan adds up what its parts found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.distinct import Tally
from include.manifest import Manifest, Part
from include.plans import Plan
from include.sealing import quality_result

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
PLAN = Plan(7, "events", "i", "c", START, START + timedelta(minutes=5), final=True, ranges=())


@pytest.mark.usefixtures("gx")
def test_the_quality_document_adds_up_its_parts() -> None:
    config: dict[str, Any] = {"type": "t", "kwargs": {"column": "x"}}
    parts = [
        Part(0, 0, 5, rows=90, failed=10, duplicates=9, nulls={"user_id": 45}, tallies=[Tally(config, 100, 10)]),
        Part(1, 0, 5, rows=10, failed=0, duplicates=1, nulls={"consent": 5}, tallies=[Tally(config, 10, 1)]),
    ]
    manifest = Manifest(PLAN, (), 10, 110, rows=100, failed=10, duplicates=10)
    document = quality_result(PLAN, manifest, parts)
    assert document["totals"] == {
        "rows": 110.0, "failed_percent": pytest.approx(100 * 10 / 110), "duplicate_percent": 10.0,
        "user_id_null_percent": 45.0, "app_version_null_percent": 0.0, "consent_null_percent": 5.0,
    }  # fmt: skip
    assert [(tally.rows, tally.unexpected) for tally in document["events"]] == [(110, 11)]
    tripped = [tally.config["kwargs"]["column"] for tally in document["interval"] if tally.unexpected]
    assert tripped == ["failed_percent"]


@pytest.mark.usefixtures("gx")
def test_an_empty_plan_warns_that_nothing_arrived() -> None:
    document = quality_result(PLAN, Manifest(PLAN, (), 0, 0, 0, 0, 0), [])
    assert [tally.config["kwargs"]["column"] for tally in document["interval"] if tally.unexpected] == ["rows"]
