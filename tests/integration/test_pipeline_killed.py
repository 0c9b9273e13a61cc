"""Killed at any boundary and run again: the same files and rows; two planners, drainers, loaders at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from azure.storage.blob import BlobClient, ContainerClient

from include import blobs, publishing, sealing, staging, topic, warehouse
from include.destinations.amplitude import Amplitude
from include.errors import TransientError
from include.lake import Lake
from include.manifest import Manifest
from tests.integration.killed_step import Order
from tests.integration.pipeline import KilledError, Pipeline, event, injected, request

pytestmark = pytest.mark.usefixtures("gx")
ROOT = Path(__file__).parents[2]
AMPLITUDE = Amplitude("http://127.0.0.1:9", "key", "secret")


def fill(pipe: Pipeline, prefix: str) -> list[str]:
    """Produce good and bad events to two partitions; returns the ids of the good ones."""
    for partition in (0, 2):
        good = [event(f"{prefix}-{partition}-{number}") for number in range(5)]
        pipe.produce(request(*good, event(f"{prefix}-{partition}-bad", platform="symbian"), partition=partition))
    return [f"{prefix}-{partition}-{number}" for partition in (0, 2) for number in range(5)]


def manifest_of(lake: Lake, sequence: int = 1) -> Manifest:
    found = lake.get(f"manifests/{lake.topic}/{sequence:010d}.json", Manifest)
    assert found is not None
    return found


def drain_and_seal(pipe: Pipeline, work: list[dict[str, Any]]) -> None:
    pipe.drain(work)
    pipe.seal(work)


STAGING: dict[str, tuple[Any, str, int]] = {
    "before a block of the first file": (blobs._BlockSink, "_stage", 0),
    "before the first file is visible": (BlobClient, "commit_block_list", 0),
    "between the events and the failed events": (BlobClient, "commit_block_list", 1),
    "between the files and what describes them": (Lake, "put_once", 0),
    "between two partitions": (staging, "drain_range", 1),
    "between the last range and the seal": (sealing, "_seal", 0),
    "between the quality document and the manifest": (Lake, "put_once", 3),
}


@pytest.mark.parametrize("point", STAGING)
def test_staging_killed_and_run_again_leaves_the_same_files(
    pipe: Pipeline, container: ContainerClient, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    fill(pipe, "e")
    work = pipe.plan()
    where, name, after = STAGING[point]
    with monkeypatch.context() as patch:
        injected(patch, where, name, after)
        with pytest.raises(KilledError):
            drain_and_seal(pipe, work)
    survived = pipe.blobs()
    assert not any(blob.startswith("manifests/") for blob in survived), "half a plan exists for nobody"
    drain_and_seal(pipe, work)
    after_all = pipe.blobs()
    assert {blob: after_all[blob] for blob in survived} == survived, "what was done is left alone"

    calm = Lake(container, pipe.topic)
    plan = pipe.lake.read(1)
    assert plan is not None
    assert calm.create(plan)
    for piece in work:
        staging.drain_partitions(calm, pipe.kafka, pipe.settings, pipe.known, **piece)
    sealing.seal_plans(calm, [1])
    assert manifest_of(pipe.lake) == manifest_of(calm), "names, rows, sizes and checksums"
    assert set(after_all) == {blob.name for blob in container.list_blobs()}


def order(pipe: Pipeline, step: str, at: str, *, after: bool, work: list[dict[str, Any]] | None = None) -> Order:
    azure = pipe.azure
    return Order(step, dict(pipe.connect), azure, pipe.kafka, pipe.settings, work or [], list(pipe.known), at, after)


def kill(made: Order) -> None:
    """Run the step in a process of its own, which must end by its own SIGKILL."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.killed_step"], input=msgspec.json.encode(made), cwd=ROOT,
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def test_a_drain_that_is_really_killed_is_done_by_the_next(own: Pipeline) -> None:
    good = fill(own, "e")
    work = own.plan()
    kill(order(own, "drain", "file", after=True, work=work))
    assert len(own.blobs("events/")) == 1
    survived = own.blobs("events/")
    own.drain(work)
    own.seal(work)
    assert survived.items() <= own.blobs("events/").items()
    own.load()
    assert own.event_ids() == sorted(good)


LOADING = [("COPY of", True), ("MERGE into EVENTS", True), ("COMMIT", False), ("COMMIT", True)]


def test_a_load_that_is_really_killed_anywhere_is_done_once_by_the_next(own: Pipeline) -> None:
    good: list[str] = []
    for number, (at, after) in enumerate(LOADING):
        good += fill(own, f"e{number}")
        own.stage()
        kill(order(own, "load", at, after=after))
        totals = own.load()
        assert totals["batches"] == (0 if (at, after) == ("COMMIT", True) else 1), (at, after)
        assert own.event_ids() == sorted(good), (at, after)
        assert len(own.failed("EVENT_ID")) == 2 * (number + 1)
    ledger = own.rows("SELECT SEQUENCE, ROWS_INSERTED, FAILED_INSERTED FROM CONTROL.LOADS ORDER BY SEQUENCE")
    assert ledger == [(number + 1, 10, 2) for number in range(len(LOADING))]
    assert own.rows("SELECT COUNT(*), COUNT(DISTINCT EVENT_ID) FROM PUBLISH.OUTBOX") == [(len(good), len(good))]


PUBLISHING = [("writing PUBLICATIONS", True), ("COMMIT", True)]


def test_an_offer_that_is_really_killed_anywhere_is_made_once_by_the_next(own: Pipeline) -> None:
    good: list[str] = []
    for number, (at, after) in enumerate(PUBLISHING):
        good += fill(own, f"e{number}")
        own.stage()
        own.load()
        kill(order(own, "offer", at, after=after))
        with own.warehouse() as connected:
            offered = publishing.offer(connected, AMPLITUDE, own.settings)
        assert offered == (0 if (at, after) == ("COMMIT", True) else 10), (at, after)
        shown = own.rows('SELECT "insert_id" FROM PUBLISH.AMPLITUDE_EVENTS ORDER BY 1')
        assert [row[0] for row in shown] == sorted(f"phone-app:{event_id}" for event_id in good)
    watermarks = [row[0] for row in own.rows("SELECT PUBLISHED_AT FROM PUBLISH.PUBLICATIONS ORDER BY 1")]
    assert len(set(watermarks)) == 2, "each publication has its own, larger one"
    assert own.rows("SELECT COUNT(*) FROM PUBLISH.PSEUDONYMS") == [(2,)]


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run all calls at the same time; returns what each returned or raised."""
    found: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            found[number] = calls[number]()
        except TransientError as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def meet(monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
    """Make two callers of a function wait for each other before they go on."""
    original, barrier = getattr(where, name), threading.Barrier(2, timeout=180)
    waiting = threading.local()

    def together(*args: Any, **kwargs: Any) -> Any:
        done = original(*args, **kwargs)
        if not getattr(waiting, "met", False):
            waiting.met = True
            barrier.wait()
        return done

    monkeypatch.setattr(where, name, together)


def test_of_two_planners_one_writes_the_plan_and_the_other_runs_again(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(pipe, "e")
    interval = pipe.now()
    with monkeypatch.context() as patch:
        meet(patch, topic, "observe")
        found = at_once(lambda: pipe.plan(interval), lambda: pipe.plan(interval))
    lost = [one for one in found if isinstance(one, TransientError)]
    assert len(lost) == 1
    assert "another planner" in str(lost[0])
    assert pipe.plan(interval) == next(one for one in found if not isinstance(one, TransientError))
    assert list(pipe.blobs("plans/")) == [f"plans/{pipe.topic}/0000000001.json"]


def test_two_drainers_of_one_range_leave_one_set_of_files(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    good = fill(pipe, "e")
    work = pipe.plan()
    with monkeypatch.context() as patch:
        meet(patch, topic, "_require_range")
        found = at_once(lambda: pipe.drain(work), lambda: pipe.drain(work))
    assert 12 in found
    pipe.seal(work)
    for file in manifest_of(pipe.lake).files:
        blob = pipe.container.get_blob_client(file.name).get_blob_properties()
        assert (blob.metadata["sha256"], blob.size) == (file.sha256, file.bytes)
    pipe.load()
    assert pipe.event_ids() == sorted(good)


def test_two_loaders_at_once_load_everything_once(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    good = fill(pipe, "e")
    pipe.stage()
    with monkeypatch.context() as patch:
        meet(patch, warehouse, "land")
        found = at_once(pipe.load, pipe.load)
    assert [one["batches"] for one in found if isinstance(one, dict)] == [1]
    assert len([one for one in found if isinstance(one, TransientError)]) == 1
    assert pipe.load()["batches"] == 0
    assert pipe.event_ids() == sorted(good)
    assert pipe.rows("SELECT COUNT(*) FROM CONTROL.LOADS") == [(1,)]
    assert pipe.rows("SELECT COUNT(*) FROM PUBLISH.OUTBOX") == [(10,)]


def test_landing_tables_do_not_stay(pipe: Pipeline) -> None:
    fill(pipe, "e")
    pipe.stage()
    pipe.load()
    left = pipe.rows("SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'LANDING'")
    assert sorted(str(row[0]) for row in left) == ["CONFIRMED_TEMPLATE", "EVENTS_TEMPLATE", "FAILED_TEMPLATE"]
