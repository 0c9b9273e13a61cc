"""A redrive killed anywhere and run again, or run twice at once: every event once, every row resolved."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

import pytest

from include import redriving
from include.contract.dialects import reader
from include.errors import TransientError
from tests.integration.pipeline import SOURCES, Pipeline, event, request
from tests.integration.test_pipeline_killed import at_once, kill, meet, order

pytestmark = pytest.mark.usefixtures("gx")
POINTS = [
    ("file", True),
    ("COPY of", True),
    ("MERGE into EVENTS", True),
    ("counting new events", True),  # the last before COMMIT
    ("dropping L_", False),  # the first after it
]


def fill(pipe: Pipeline, prefix: str) -> list[str]:
    """Load events of a source that nobody knows yet; returns their ids."""
    ids = [f"{prefix}-{number}" for number in range(6)]
    pipe.known = SOURCES
    pipe.produce(*(request(event(one), source_id="new-app", partition=n % 2) for n, one in enumerate(ids)))
    pipe.stage()
    pipe.load()
    pipe.known = (*SOURCES, "new-app")
    return ids


def test_a_redrive_that_is_really_killed_around_its_commit_is_done_once_by_the_next(own: Pipeline) -> None:
    killed_at(own, POINTS[-2:])


@pytest.mark.slow
def test_a_redrive_that_is_really_killed_anywhere_is_done_once_by_the_next(own: Pipeline) -> None:
    killed_at(own, POINTS)


def killed_at(own: Pipeline, points: Sequence[tuple[str, bool]]) -> None:
    """Kill a redrive at each point, and look at what is there before and after it is run again."""
    wanted: list[str] = []
    for number, (at, after) in enumerate(points):
        wanted += fill(own, f"e{number}")
        kill(order(own, "redrive", at, after=after))
        committed = at.startswith("dropping")
        assert own.event_ids() == sorted(wanted if committed else wanted[:-6]), at
        again = own.redrive()
        assert again["redriven"] == again["events"] == (0 if committed else 6), at
        assert own.event_ids() == sorted(wanted), at
        assert own.redrive() == dict.fromkeys(redriving.RESULTS, 0), at
    places = "KAFKA_PARTITION, KAFKA_OFFSET, ENVELOPE_INDEX, BATCH_ID, EVENT_ID"
    assert own.rows(f"SELECT {places} FROM CORE.EVENTS ORDER BY EVENT_ID") == own.rows(  # noqa: S608
        f"SELECT {places} FROM CORE.FAILED_EVENTS WHERE RESOLUTION = 'redriven' ORDER BY EVENT_ID"  # noqa: S608
    )


def patiently(pipe: Pipeline) -> dict[str, int]:
    """Redrive, again when the other one holds the tables, as Airflow does."""
    for _ in range(20):
        with suppress(TransientError):
            return pipe.redrive()
        time.sleep(0.2)
    return pipe.redrive()


@pytest.mark.parametrize("whole", [False, True])
def test_of_two_redrives_at_once_each_event_comes_from_one(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    with monkeypatch.context() as patch:
        if whole:
            patch.setattr("include.staging.reader", lambda dialect, _call: reader(f"no {dialect}"))
        wanted = fill(pipe, "e")
    assert {row[0] < 0 for row in pipe.failed("ENVELOPE_INDEX")} == {whole}
    with monkeypatch.context() as patch:
        meet(patch, redriving, "_staged")
        found = at_once(lambda: patiently(pipe), lambda: patiently(pipe))
    assert [sum(one[name] for one in found) for name in ("events", "redriven")] == [len(wanted)] * 2
    assert pipe.event_ids() == wanted
    assert set(pipe.failed("RESOLUTION")) == {("redriven",)}
