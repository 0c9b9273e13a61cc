"""Every command and query of the runbooks runs on real parts: a gap stands, and an event can be traced."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import snowflake.connector
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from include.connections import connection, snowflake_parameters
from local.stack import Stack
from tests.integration.in_process_pipeline import pipeline
from tests.unit import documents
from tests.unit.test_runbooks import PAGES, RUNBOOKS

pytestmark = pytest.mark.usefixtures("gx")
TRACED = "order-4711"
QUERIES = [(page, query) for page in PAGES for query in documents.blocks(page, "sql")]


def typed(page: Path) -> str:
    """Return a page's commands, but those that need an Airflow, which does not run here.

    Airflow's own parser reads its commands in tests/unit/test_docs.py; tests/e2e/test_backfill.py runs `make backfill`.
    """
    blocks = [one for one in documents.blocks(page, "sh") if "-m airflow" not in one]
    return "\n".join(line for one in blocks for line in one.splitlines() if not line.startswith("make backfill"))


SCRIPTS = [page for page in PAGES if typed(page)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    parts = ("ingest", "lake", "warehouse")
    with Stack(tmp_path_factory.mktemp("runbooks"), parts=parts, ports="free") as stack:
        _post(stack, "staged")
        with pipeline(stack) as steps:
            steps.stage()
            steps.load()
        _post(stack, "lost-1", "lost-2")
        _lose(stack)
        _post(stack, TRACED)
        yield stack


@pytest.fixture(scope="module")
def environ(stack: Stack) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(stack.state_dir), "USER": "on-call", **stack.endpoints}


def _post(stack: Stack, *ids: str) -> None:
    events = [
        {"event_id": one, "event_name": "ordered", "device_id": "d-1", "platform": "ios", "app_version": "1"}
        for one in ids
    ]
    key = stack.endpoints["LOCAL_WRITE_KEY_PHONE_APP"]
    request = urllib.request.Request(  # noqa: S310 - our own
        f"{stack.endpoints['LOCAL_URL_INGEST']}/v1/events",
        json.dumps({"events": events}).encode(),
        {"Authorization": f"Bearer {key}"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own
        assert json.load(answer)["accepted"] == len(ids)


def _lose(stack: Stack) -> None:
    """Let Kafka forget everything that it has now."""
    admin = AdminClient({"bootstrap.servers": stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]})
    everything = [TopicPartition("events", one) for one in admin.list_topics("events").topics["events"].partitions]
    for part in everything:
        part.offset = -1
    for done in admin.delete_records(everything).values():
        done.result(timeout=10)


def run(stack: Stack, environ: dict[str, str], page: Path) -> str:
    """Run a page's shell blocks in order, as somebody who types them."""
    # The tool chain is there: the tests run in it.
    script = re.sub(r"^make ", "make --silent --old-file=setup ", typed(page), flags=re.MULTILINE)
    script = script.replace(".local/endpoints.env", str(stack.state_dir / "endpoints.env"))
    done = subprocess.run(
        ["/bin/sh", "-euc", script], cwd=documents.ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_about_gaps_shows_accepts_and_records_one(stack: Stack, environ: dict[str, str]) -> None:
    shown = run(stack, environ, RUNBOOKS / "gap.md")
    assert shown.count("Gaps of topic events") == 2, "the first command changes nothing"
    assert "Accepted as events-gap-000001 by on-call: retention overrun while Airflow was down" in shown
    query = next(query for page, query in QUERIES if page.stem == "gap")
    with closing(snowflake.connector.connect(**snowflake_parameters(connection("warehouse", environ)))) as opened:
        rows = opened.cursor().execute(query).fetchall()  # type: ignore[union-attr]
    assert sum(row[-1] for row in rows) == 1, "both lost events were one request"
    with pipeline(stack) as steps:
        steps.stage()
        steps.load()
    assert run(stack, environ, RUNBOOKS / "lake-refused.md").startswith("No gap stands in topic events.")


@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: page.stem)
def test_a_pages_commands_run(page: Path, stack: Stack, environ: dict[str, str]) -> None:
    shown = run(stack, environ, page)
    assert shown
    if f"ID={TRACED}" in page.read_text():
        assert "phone-app:order-4711 (ordered)" in shown


@pytest.mark.parametrize(("page", "query"), QUERIES, ids=[page.stem for page, _ in QUERIES])
def test_a_pages_query_runs(page: Path, query: str, environ: dict[str, str]) -> None:
    with closing(snowflake.connector.connect(**snowflake_parameters(connection("warehouse", environ)))) as opened:
        cursor = opened.cursor().execute(query)
        assert cursor is not None
        assert cursor.description
