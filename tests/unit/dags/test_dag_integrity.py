"""Every DAG as Airflow itself loads it: no import error, no warning, declared as the house wants, quick to parse."""

from __future__ import annotations

import ast
import itertools
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
DAGS = ROOT / "dags"
FILES = sorted(path for path in DAGS.glob("*.py") if path.name != "pipeline_common.py")
HEAVY = ("pandas", "numpy", "great_expectations", "pyarrow", "confluent_kafka", "snowflake", "azure", "requests")

LOAD = """
import json, sys, time, warnings
import airflow.sdk, airflow.dag_processing.dagbag as dagbag  # what Airflow's parser has loaded already
already = set(sys.modules)
began = time.process_time()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    bag = dagbag.DagBag(dag_folder=sys.argv[1])
seconds = time.process_time() - began
loaded = {name.partition(".")[0] for name in set(sys.modules) - already}
def task(one):
    return {
        "owner": one.owner, "retries": one.retries, "retry_delay": one.retry_delay.total_seconds(), "pool": one.pool,
        "timeout": one.execution_timeout.total_seconds() if one.execution_timeout else None,
        "rules": [[rule.exception, rule.action.value] for rule in one.retry_policy.rules] if one.retry_policy else None,
        "outlets": [asset.name for asset in one.outlets], "mapped": type(one).__name__,
        "downstream": sorted(one.downstream_task_ids), "trigger_rule": str(one.trigger_rule.value),
    }
print(json.dumps({
    "seconds": seconds, "loaded": sorted(loaded), "errors": bag.import_errors,
    # Airflow reads .airflowignore with a class of pathspec that says it is deprecated.
    "warnings": [
        f"{one.category.__name__}: {one.message} ({one.filename}:{one.lineno})"
        for one in caught if "GitWildMatchPattern" not in str(one.message)
    ],
    "files": {one.file.lstrip("/"): one.duration.total_seconds() for one in bag.dagbag_stats},
    "dags": {
        dag.dag_id: {
            "tags": sorted(dag.tags), "doc": dag.doc_md, "catchup": dag.catchup, "runs": dag.max_active_runs,
            "schedule": type(dag.timetable).__name__,
            "tasks": {one.task_id: task(one) for one in dag.tasks},
        } for dag in bag.dags.values()
    },
}))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow's own DagBag makes of `dags/`, in a process of its own."""
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PIPELINE_"))},
        "AIRFLOW_HOME": str(home), "PYTHONPATH": os.pathsep.join(map(str, (ROOT, DAGS))),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(DAGS)], env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_file_gives_its_dag_without_an_error_or_a_warning(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert bag["warnings"] == []
    assert sorted(bag["dags"]) == [path.stem for path in FILES]


def test_parsing_is_quick_and_loads_nothing_heavy(bag: dict[str, Any]) -> None:
    print(f"parsed in {bag['seconds']:.2f} s: {bag['files']}")  # noqa: T201 - a number to look at
    assert sorted(set(bag["loaded"]) & set(HEAVY)) == []
    assert bag["seconds"] < 1


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_each_dag_has_owner_tags_runbook_and_no_overlapping_runs(bag: dict[str, Any], dag_id: str) -> None:
    dag = bag["dags"][dag_id]
    assert len(dag["tags"]) >= 2
    assert dag["doc"].startswith(f"### {dag_id}: ")
    headings = ["**What it does.**", "**If it fails.**", "**How to backfill.**"]
    places = [dag["doc"].find(heading) for heading in headings]
    assert -1 not in places
    assert places == sorted(places)
    assert dag["runs"] <= 4
    assert dag["catchup"] == (dag_id == "settle_hour"), "only settle_hour catches up (design rule 4)"


@pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
def test_each_task_retries_by_the_type_of_the_error(bag: dict[str, Any], dag_id: str) -> None:
    for name, task in bag["dags"][dag_id]["tasks"].items():
        assert task["owner"] == "data-platform", name
        assert task["retries"] >= 3, name
        assert 0 < task["timeout"] <= timedelta(hours=1).total_seconds(), name
        rules = dict(task["rules"])
        assert rules["include.errors.SetupError"] == rules["include.errors.TerminalError"] == "fail", name
        assert rules["include.errors.TransientError"] == "retry", name


@pytest.mark.parametrize(("dag_id", "task_id", "pool"), [
    ("stage_events", "plan", "planner"), ("load_events", "load", "loader"), ("settle_hour", "repair", "loader"),
    ("publish_amplitude", "offer", "publish_amplitude"), ("publish_amplitude", "push", "publish_amplitude"),
])  # fmt: skip
def test_what_must_not_run_twice_at_once_has_a_pool_of_one(
    bag: dict[str, Any], dag_id: str, task_id: str, pool: str
) -> None:
    assert bag["dags"][dag_id]["tasks"][task_id]["pool"] == pool
    declared = json.loads((ROOT / "deploy/airflow/pools.json").read_text())
    assert declared[pool]["slots"] == 1


def test_every_pool_a_task_names_is_declared(bag: dict[str, Any]) -> None:
    declared = json.loads((ROOT / "deploy/airflow/pools.json").read_text())
    used = {task["pool"] for dag in bag["dags"].values() for task in dag["tasks"].values()}
    assert used - {"default_pool"} == set(declared)


def test_the_way_of_the_data_is_wired_by_assets(bag: dict[str, Any]) -> None:
    outlets = {
        task["outlets"][0]: dag_id
        for dag_id, dag in bag["dags"].items()
        for task in dag["tasks"].values()
        if task["outlets"]
    }
    assert outlets == {"lake_sealed": "stage_events", "warehouse_loaded": "load_events"}
    schedules = {dag_id: bag["dags"][dag_id]["schedule"] for dag_id in bag["dags"]}
    assert schedules["load_events"] == schedules["publish_amplitude"] == "AssetTriggeredTimetable"
    assert schedules["stage_events"] == schedules["settle_hour"] == "CronDataIntervalTimetable"


@pytest.mark.parametrize(("dag_id", "chain"), [
    ("stage_events", ["plan", "drain", "seal"]), ("load_events", ["load", "commit_offsets"]),
    ("publish_amplitude", ["offer", "push"]), ("settle_hour", ["coverage", "repair", "reconcile"]),
])  # fmt: skip
def test_each_chain_is_acknowledged_last(bag: dict[str, Any], dag_id: str, chain: list[str]) -> None:
    tasks = bag["dags"][dag_id]["tasks"]
    assert sorted(tasks) == sorted(chain)
    for one, following in itertools.pairwise(chain):
        assert following in tasks[one]["downstream"]


def test_an_interval_without_work_still_seals(bag: dict[str, Any]) -> None:
    assert bag["dags"]["stage_events"]["tasks"]["seal"]["trigger_rule"] == "none_failed"
    assert bag["dags"]["stage_events"]["tasks"]["drain"]["mapped"] == "DecoratedMappedOperator"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_dag_files_declare_and_task_bodies_are_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 120
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name != path.stem:
            body = [one for one in node.body if not isinstance(one, ast.ImportFrom | ast.Import)]
            assert sum(1 for one in ast.walk(ast.Module(body, [])) if isinstance(one, ast.stmt)) <= 5, node.name
