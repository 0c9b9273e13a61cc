"""The way from the API to the vendor without Airflow, for the tests of what people see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.integration.in_process_pipeline import Pipeline, pipeline
from tests.integration.ingest_fixtures import ingest_topic, server, stored  # noqa: F401 - fixtures
from tests.integration.pipeline_fixtures import fragile, fragile_pipe, gx, own, pipe, shared_pipe  # noqa: F401 - fixtures

_PARTS = ("kafka", "azurite", "snowflake", "amplitude", "topic", "lake", "warehouse", "ingest")


@pytest.fixture(scope="session")
def whole_way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """All parts but Airflow; the DAGs' steps run when a test says so, and the vendor imports when told."""
    env = {"LOCAL_AMPLITUDE_IMPORT_SECONDS": "0"}
    state = tmp_path_factory.mktemp("way")
    with Stack(state, parts=_PARTS, ports="free", env=env) as stack, pipeline(stack) as steps:
        yield steps
