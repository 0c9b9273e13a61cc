"""Imports everything that a step needs, once, in the fork server of the crash audit; opens no client and no thread.

Steps are forked from it, as Airflow's own workers fork tasks, but into processes that no step has run in before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.quiet_imports import import_great_expectations, import_quietly

DAGS = Path(__file__).parents[2] / "dags"
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""What native libraries would start threads at import for; a fork keeps none of them."""
_STEPS = {
    "stage_events": ("plan", "drain", "seal"),
    "load_events": ("load", "commit_offsets"),
    "publish_amplitude": ("offer", "push"),
    "settle_hour": ("coverage", "repair", "reconcile"),
}


def _bodies() -> dict[str, Callable[..., Any]]:
    """Return the task bodies of the DAGs by name, as Airflow would call them."""
    if str(DAGS) not in sys.path:
        sys.path.insert(0, str(DAGS))
    import_quietly("airflow.sdk", *_STEPS)
    found = {}
    for name, steps in _STEPS.items():
        dag = getattr(sys.modules[name], name)()
        for step in steps:
            task = dag.get_task(step)
            found[step] = getattr(task, "python_callable", None) or task.partial_kwargs["python_callable"]
    return found


os.environ.update(ONE_THREAD)
STEPS = _bodies()
import_great_expectations()
import_quietly(
    "pandas", "tqdm.std",
    "include.loading", "include.publishing", "include.sealing", "include.settling", "include.staging",
    "airflow.providers.microsoft.azure.hooks.wasb", "airflow.providers.snowflake.hooks.snowflake",
    "airflow.sdk.execution_time.context", "airflow.sdk.execution_time.supervisor",
    "tests.faults.crash_report", "tests.faults.crash_rounds", "tests.faults.crash_strikes",
)  # fmt: skip

# Great Expectations' progress bars share a lock between processes, which those that are killed would leave behind.
sys.modules["tqdm.std"].TqdmDefaultWriteLock.mp_lock = None

from include import quality  # noqa: E402 - it brings pyarrow, which reads ONE_THREAD

for _suite in ("events", "interval"):
    quality.suite(_suite)
