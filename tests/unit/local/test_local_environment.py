"""`make run` with a misspelled variable: one sentence with the right one, before anything starts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from deploy import settings_reference
from include.errors import SetupError
from local.environment import require_known
from local.paths import PYTHON, ROOT


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("LOCAL_AIRFLOW_PROT", "LOCAL_AIRFLOW_PORT"),
        ("LOCAL_RATE_EVENTS_PER_SECONDS", "LOCAL_RATE_EVENTS_PER_SECOND"),
        ("INGEST_MAX_EVENT", "INGEST_MAX_EVENTS"),
        ("TOPIC_PARTITION", "TOPIC_PARTITIONS"),
        ("PIPELINE_STAGE_CORN", "PIPELINE_STAGE_CRON"),
        ("MIGRATE_LAKE_URLS", "MIGRATE_LAKE_URL"),
        ("LOCAL_SNOWFLAKE_LOCK_SECOND", "LOCAL_SNOWFLAKE_LOCK_SECONDS"),
    ],
)
def test_every_prefix_is_looked_at(variable: str, meant: str) -> None:
    with pytest.raises(SetupError) as caught:
        require_known({variable: "1", "PATH": "/bin"})
    assert str(caught.value) == f"wrong settings: {variable} is not a setting (did you mean {meant}?)"


def test_every_documented_variable_is_known() -> None:
    require_known(dict.fromkeys(settings_reference.documented(), ""))


@pytest.mark.parametrize("command", [["local.run"], ["local", "up"]])
def test_nothing_starts_with_a_misspelled_variable(command: list[str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    ended = subprocess.run(
        [PYTHON, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "LOCAL_STATE_DIR": str(state), "PIPELINE_STAGE_CORN": "* * * * *"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout == (
        "wrong settings: PIPELINE_STAGE_CORN is not a setting (did you mean PIPELINE_STAGE_CRON?)\n"
    )
    assert not state.exists()
