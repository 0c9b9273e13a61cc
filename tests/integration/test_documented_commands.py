"""What README and docs tell people to type works: the guide's examples and the operator's queries, on real parts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import snowflake.connector

from include import quality
from include.connections import connection, snowflake_parameters
from include.contract import sources
from include.contract.event import parse
from include.rows import Chunk, Decoded
from local import paths
from local.stack import Stack
from tests.unit import documents

GUIDE = documents.ROOT / "docs" / "client-guide.md"
OPERATING = documents.ROOT / "docs" / "operating.md"
SOURCES = documents.ROOT / "docs" / "sources.md"
# Great Expectations' own imports warn on Python 3.11.
pytestmark = pytest.mark.filterwarnings("ignore:module .sre_\\w+. is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("documented"), parts=("ingest", "warehouse"), ports="free") as stack:
        yield stack


@pytest.fixture(scope="module")
def environ(stack: Stack) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **stack.endpoints}


def _stored(stack: Stack) -> float:
    with urllib.request.urlopen(f"{stack.endpoints['LOCAL_URL_INGEST']}/metrics") as answer:  # noqa: S310 - our own
        lines = answer.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith('ingest_events_total{verdict="accepted"}')).split()[1])


def test_the_curl_example_stores_its_event(stack: Stack) -> None:
    before = _stored(stack)
    (example,) = [block for block in documents.blocks(GUIDE, "sh") if "curl" in block]
    script = example.replace(".local/client.env", str(stack.state_dir / "client.env"))
    done = subprocess.run(["/bin/sh", "-euc", script], cwd=documents.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer == {"accepted": 1, "quarantined": []}
    assert json.dumps(answer, separators=(",", ":")) in GUIDE.read_text()
    assert _stored(stack) - before == 1


def test_the_python_example_stores_its_events(stack: Stack, environ: dict[str, str], tmp_path: Path) -> None:
    before = _stored(stack)
    (example,) = documents.blocks(GUIDE, "python")
    file = tmp_path / "client.py"
    file.write_text(example)
    done = subprocess.run([paths.PYTHON, file], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'accepted': 2, 'quarantined': []}"
    assert _stored(stack) - before == 2


def test_the_python_example_keeps_events_that_are_not_acknowledged(environ: dict[str, str], tmp_path: Path) -> None:
    (example,) = documents.blocks(GUIDE, "python")
    file = tmp_path / "client.py"
    file.write_text(example.replace("attempts=8", "attempts=1"))
    away = {**environ, "LOCAL_URL_INGEST": "http://127.0.0.1:9"}
    done = subprocess.run([paths.PYTHON, file], env=away, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not acknowledged: keep the events" in done.stderr


def test_the_documented_event_is_valid() -> None:
    (example,) = [block for block in documents.blocks(GUIDE, "sh") if "curl" in block]
    body = example.split("--data '")[1].rpartition("'")[0].encode()
    parsed, moment = parse(body), datetime(2026, 11, 22, 10, 0, 2, tzinfo=UTC)
    envelope = Decoded(0, "phone-app", moment, parsed.sent_at, body, parsed.events, parsed.extra, parsed.problems, {})
    chunk = Chunk(0, "documented", [envelope])
    table = chunk.table()
    verdict = quality.suite("events").judge(chunk.facts(table), {"known_sources": ["phone-app"]})
    assert len(table) == 1
    assert verdict.failed == {}


@pytest.mark.parametrize(
    "query", list(documents.blocks(OPERATING, "sql")), ids=lambda query: query.split("FROM")[1].split()[0]
)
def test_the_operators_queries_run(query: str, environ: dict[str, str]) -> None:
    with snowflake.connector.connect(**snowflake_parameters(connection("warehouse", environ))) as opened:
        cursor = opened.cursor().execute(query)
        assert cursor is not None
        assert cursor.description


@pytest.mark.parametrize("block", [block for block in documents.blocks(GUIDE, "sh") if "make sql" in block])
def test_the_guides_queries_run(block: str, environ: dict[str, str]) -> None:
    script = block.replace("make sql", "make --silent --old-file=setup sql")
    done = subprocess.run(
        ["/bin/sh", "-euc", script], cwd=documents.ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("EVENT_ID") == 2


def test_a_query_may_be_cut_off_by_its_reader(environ: dict[str, str]) -> None:
    query = "SELECT SEQ4() AS N FROM TABLE(GENERATOR(ROWCOUNT => 20000))"
    for option in ("--csv", "--limit=0"):
        script = f"set -o pipefail; {paths.PYTHON} -m local.sql --limit=0 {option} '{query}' | head -n 3"
        done = subprocess.run(
            ["/bin/bash", "-c", script], cwd=documents.ROOT, env=environ, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) == 3


def test_the_operators_commands_for_sources_work(stack: Stack, environ: dict[str, str]) -> None:
    before = _stored(stack)
    script = "\n".join(documents.blocks(SOURCES, "sh"))
    assert script.count("make sources") >= 6
    # The tool chain is there: the tests run in it.
    script = re.sub(r"make (--silent )?sources", "make --silent --old-file=setup sources", script)
    script = script.replace(".local/client.env", str(stack.state_dir / "client.env"))
    done = subprocess.run(
        ["/bin/sh", "-euc", script], cwd=documents.ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Limits of source shop-ios: 5000 events/s, 50 events/s of a device." in done.stdout
    assert "sources.json: no problem" in done.stdout
    assert '{"accepted":1,"quarantined":[]}' in done.stdout
    assert _stored(stack) - before == 1
    known = sources.load(Path(stack.endpoints["INGEST_SOURCES_PATH"])).sources
    assert set(known) == {"phone-app", "web-app", "car-app", "shop-ios", "shop-web"}
    assert "shop-ios" in done.stdout.split("Key ")[1]


def test_the_migration_can_be_looked_at_and_repeated(environ: dict[str, str]) -> None:
    command = [str(paths.PYTHON), "-m", "include.migrate"]
    shown = subprocess.run([*command, "--dry-run"], env=environ, cwd=documents.ROOT, capture_output=True, check=True)
    assert b"CREATE TABLE IF NOT EXISTS ANALYTICS.CORE.EVENTS" in shown.stdout
    done = subprocess.run(command, env=environ, cwd=documents.ROOT, capture_output=True, check=True)
    assert b"statements applied to ANALYTICS" in done.stdout


@pytest.mark.parametrize("verb", ["apply", "check"])
def test_the_topic_can_be_applied_again_and_checked(verb: str, environ: dict[str, str]) -> None:
    command = [str(paths.API_PYTHON), "-m", "include.contract.topic_spec", verb]
    done = subprocess.run(command, env=environ, cwd=documents.ROOT, capture_output=True, text=True, check=True)
    assert "topic events is as needed" in done.stdout
