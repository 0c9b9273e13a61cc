"""The whole pipeline under a real Airflow scheduler: from HTTP to the vendor by ids, and again without any change."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from local import clients, processes
from local.reader import warehouse_ids
from local.smoke.compare import Hop
from local.smoke.run import Smoke, smoke
from tests.e2e.airflow_api import DAGS, Airflow, Run
from tests.e2e.make_run import MakeRun, make_run
from tests.e2e.world import changes, world
from tests.sdks import clients as sdks

# A stack, two intervals and every run a second time: minutes where other tests need seconds.
pytestmark = pytest.mark.timeout(600)

_MINUTE = timedelta(minutes=1)


class Pipeline:
    """A running `make run` through which one known set has come to the vendor."""

    def __init__(self, running: MakeRun, endpoints: Mapping[str, str], hops: list[Hop]) -> None:
        self.running, self.endpoints, self.hops = running, endpoints, hops
        self.airflow = Airflow(endpoints["LOCAL_URL_AIRFLOW"])

    def ended(self, dag_id: str) -> list[Run]:
        return [run for run in self.airflow.runs(dag_id) if run.state in {"success", "failed"}]

    def staged_range(self) -> tuple[datetime, datetime]:
        """Return the data intervals that the scheduled runs of stage_events covered so far, as one range."""
        starts = [
            datetime.fromisoformat(run.data_interval_start)
            for run in self.ended("stage_events")
            if run.data_interval_start and run.run_type == "scheduled"
        ]
        return min(starts), max(starts) + _MINUTE

    def reconciliation(self, hour: datetime) -> dict[str, tuple[int, int, int]]:
        rows = world(self.endpoints).rows["CONTROL.RECONCILIATION"]
        return {
            hop.strip("'"): (int(expected), int(actual), int(explained))
            for (moment, hop, expected, actual, explained, _) in rows
            if moment == repr(hour.replace(tzinfo=None))
        }


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    wish = Smoke(events=3_000, seed=11, timeout_seconds=240, alone=True)
    with make_run(tmp_path_factory.mktemp("e2e") / "state", "--rate", "0") as running:
        endpoints = running.endpoints()
        yield Pipeline(running, endpoints, smoke(endpoints, wish, print))


def test_every_id_arrives_once_and_only_where_it_belongs(pipeline: Pipeline) -> None:
    assert [hop for hop in pipeline.hops if not hop.is_equal] == []
    expected = {hop.name: hop.expected for hop in pipeline.hops}
    assert expected["acknowledged → Kafka"] > 3_000
    assert expected["malformed → FAILED_EVENTS"] > 0
    assert 0 < expected["valid and consented → vendor"] < expected["valid → EVENTS"] < 3_000


def test_airflow_took_every_dag_without_error_or_warning(pipeline: Pipeline) -> None:
    airflow = pipeline.airflow
    assert airflow.get("importErrors")["import_errors"] == []
    assert airflow.get("dagWarnings")["dag_warnings"] == []
    dags = {dag["dag_id"]: dag for dag in airflow.get("dags")["dags"]}
    assert set(DAGS) <= dags.keys()
    assert not any(dag["is_paused"] or dag["has_import_errors"] for dag in dags.values())
    assert {run for dag_id in dags for run in pipeline.ended(dag_id) if run.state == "failed"} == set()


def test_settling_reconciles_what_arrived_and_every_run_can_run_again_without_a_change(pipeline: Pipeline) -> None:
    airflow = pipeline.airflow
    start, end = pipeline.staged_range()
    settled = airflow.trigger("settle_hour", start, end, mode="heal", reason="an hour that is not over", publish=True)
    assert airflow.await_runs([settled], 120) == {settled: "success"}
    hops = pipeline.reconciliation(start)
    assert {"kafka_to_lake", "client_to_lake", "lake_to_events", "warehouse_to_amplitude"} <= hops.keys()
    assert {name: hop for name, hop in hops.items() if hop[0] != hop[1] + hop[2]} == {}
    assert hops["warehouse_to_amplitude"][1] == len(world(pipeline.endpoints).vendor_ids)

    airflow.await_quiet(60)
    before = world(pipeline.endpoints)
    again = [run for dag_id in DAGS for run in pipeline.ended(dag_id)]
    for run in again:
        airflow.clear(run)
    assert set(airflow.await_runs(again, 240).values()) == {"success"}
    assert {run: airflow.least_tries(run) for run in again} == dict.fromkeys(again, 2)
    airflow.await_quiet(60)
    assert changes(before, world(pipeline.endpoints)) == []
    assert {run.dag_id for run in again} == set(DAGS)


def test_backfill_over_the_same_range_changes_nothing(pipeline: Pipeline) -> None:
    airflow = pipeline.airflow
    start, end = pipeline.staged_range()
    before = world(pipeline.endpoints)
    backfill = airflow.backfill("stage_events", start, end - _MINUTE)
    airflow.await_backfill(backfill, 120)
    redone = [run for run in airflow.runs("stage_events") if run.run_type == "backfill"]
    assert redone
    assert {run.state for run in redone} == {"success"}
    airflow.await_quiet(60)
    assert changes(before, world(pipeline.endpoints)) == []


def test_the_vendors_own_sdks_deliver_through_it(pipeline: Pipeline) -> None:
    endpoints, began = pipeline.endpoints, datetime.now(UTC)
    url, key = endpoints["LOCAL_URL_INGEST"], endpoints["LOCAL_WRITE_KEY_WEB_APP"]
    running = [sdks.start(sdk, url, key, 20, prefix=f"e2e-{sdk.name}") for sdk in sdks.here()]
    deliveries = [one.wait() for one in running]
    made = {call.id for delivery in deliveries for call in delivery.calls}
    assert set[str]().union(*(delivery.delivered for delivery in deliveries)) == made
    wanted = Counter(("web-app", event_id) for event_id in made)
    deadline = time.monotonic() + 180
    with closing(clients.warehouse(endpoints)) as warehouse:
        while (found := warehouse_ids.read(warehouse, "events", began)) != wanted and time.monotonic() < deadline:
            time.sleep(2)
    assert found == wanted


def test_board_told_of_the_arrival_and_ctrl_c_leaves_nothing(pipeline: Pipeline) -> None:
    running = pipeline.running
    running.await_line("The first events arrived at the vendor", timeout_seconds=30)
    arrived = len(world(pipeline.endpoints).vendor_ids)
    running.await_line(f"at the vendor {arrived:,} ", timeout_seconds=30)
    for link in (pipeline.endpoints["LOCAL_URL_AIRFLOW"], f"{pipeline.endpoints['LOCAL_URL_INGEST']}/docs", "make sql"):
        assert link in running.output
    assert "did not answer" not in running.output
    assert running.interrupt() == 0
    assert "Stopped; nothing is left running." in running.output
    assert processes.members(running.state) == []
