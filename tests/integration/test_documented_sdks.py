"""Every block of docs/vendor-sdks.md that can run here does, as it stands with the documented source, into EVENTS."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from local.paths import CHROMIUM, PYTHON, ROOT, SDKS, node
from tests.integration.in_process_pipeline import Pipeline
from tests.sdks import clients
from tests.unit import documents

PAGE = documents.ROOT / "docs" / "vendor-sdks.md"
SETUP, *QUERIES = documents.blocks(PAGE, "sh")
# Great Expectations' own imports warn on Python 3.11.
pytestmark = pytest.mark.filterwarnings("ignore:module .sre_\\w+. is deprecated:DeprecationWarning")
NOT_INSTALLED = {"@segment/analytics-next", "@segment/analytics-react-native", "@rudderstack/analytics-js/bundled"}
PACKAGES = {
    "amplitude": "amplitude-python",
    "segment.analytics": "analytics-python",
    "rudderstack.analytics": "analytics-python",
    "@amplitude/analytics-node": "amplitude-node-ts",
    "@segment/analytics-node": "@segment/analytics-node",
    "@rudderstack/rudder-sdk-node": "analytics-node",
    "@amplitude/analytics-browser": "amplitude-ts",
}
"""Library that EVENTS names, by the package that a block imports."""


_IMPORTED = re.compile(r'^import .* from "(.+)";$|^(?:from|import) (amplitude|\w+\.analytics)\b', re.MULTILINE)


def _package(block: str) -> str:
    found = _IMPORTED.search(block)
    assert found, block
    return found[1] or found[2]


BLOCKS = {_package(block): block for language in ("python", "js") for block in documents.blocks(PAGE, language)}


def test_every_block_is_run_or_known_to_be_not_installed() -> None:
    assert set(BLOCKS) == PACKAGES.keys() | NOT_INSTALLED


@pytest.fixture(scope="module")
def shell(whole_way: Pipeline) -> dict[str, str]:
    """The environment of a shell in which somebody ran the first block."""
    stack = whole_way.stack
    script = _here(SETUP).replace(".local/client.env", str(stack.state_dir / "client.env"))
    bare = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        ["/bin/sh", "-euc", script + "\nexec env -0"], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**bare, "LOCAL_STATE_DIR": str(stack.state_dir)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert not [name for name in found if name.startswith(("PIPELINE_", "AIRFLOW", "INGEST_"))]
    return found


def test_what_is_documented_arrives(whole_way: Pipeline, shell: dict[str, str], tmp_path: Path) -> None:
    here = {sdk.package for sdk in clients.here()}
    wanted = {name: library for name, library in PACKAGES.items() if "browser" not in name or name in here}
    running = {name: _start(name, shell, tmp_path) for name in wanted}
    for name, process in running.items():
        out, errors = process.communicate(timeout=60)
        printed = "200\n" if name == "@amplitude/analytics-node" else ""
        assert (process.returncode, out, errors) == (0, printed, ""), name
    whole_way.stage()
    whole_way.load()
    rows = whole_way.warehouse.run(
        "SELECT LIBRARY_NAME, EVENT_NAME, PLATFORM, CONSENT FROM CORE.EVENTS WHERE SOURCE_ID = 'shop-server'"
    )
    orders = sorted(str(row[0]) for row in rows if row[1] == "Order Completed")
    assert orders == sorted(wanted.values())
    assert {json.loads(row[3])["analytics"] for row in rows} == {True}
    by_itself = {str(row[1]) for row in rows} - {"Order Completed"}
    assert by_itself == ({"$identify", "session_start", "[Amplitude] Page Viewed"} if len(wanted) == 7 else set())
    failed = whole_way.warehouse.run("SELECT REASONS FROM CORE.FAILED_EVENTS WHERE SOURCE_ID = 'shop-server'")
    assert failed == []
    _require_queries_show(shell)


def test_the_first_question_about_a_key_is_answered(shell: dict[str, str]) -> None:
    (question,) = [block for block in QUERIES if "curl" in block]
    for key, said in ((shell["SHOP_KEY"], '"valid":1'), ("wrong", '"error":"unknown_key"')):
        done = subprocess.run(
            ["/bin/sh", "-euc", question], env={**shell, "SHOP_KEY": key}, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert said in done.stdout


def _require_queries_show(shell: dict[str, str]) -> None:
    asked = [
        subprocess.Popen(["/bin/sh", "-euc", _here(block)], cwd=ROOT, env=shell, stdout=subprocess.PIPE, text=True)
        for block in QUERIES
        if "make sql" in block and "CORE.EVENTS" in block
    ]
    assert len(asked) == 3
    for query in asked:
        shown, _ = query.communicate(timeout=60)
        assert query.returncode == 0
        assert "Order Completed" in shown
        assert shown.rstrip().endswith("0 rows")


def _here(script: str) -> str:
    """Return a script for this tool chain, which is there: the tests run in it."""
    return re.sub(r"make (--silent )?(sources|sql)", r"make --silent --old-file=setup \2", script)


def _start(name: str, shell: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    block, stdin = BLOCKS[name], ""
    if name == "@amplitude/analytics-browser":
        stdin = block.replace("<write key>", shell["SHOP_KEY"])
        stdin = stdin.replace("https://events.example.com", shell["LOCAL_URL_INGEST"])
        command = [str(node()), str(ROOT / "tests/sdks/drivers/documented_page.mjs"), str(SDKS), str(CHROMIUM)]
    elif name.startswith("@"):
        modules = folder / "node_modules"
        if not modules.exists():
            modules.symlink_to(SDKS / "node_modules")
        file = folder / f"{name.replace('/', '-')}.mjs"
        file.write_text(block)
        command = [str(node()), str(file)]
    else:
        file = folder / f"{name}.app.py"
        file.write_text(block)
        command = [str(PYTHON), str(file)]
    process = subprocess.Popen(
        command, env=shell | {"TMPDIR": str(folder)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin
    process.stdin.write(stdin)
    process.stdin.flush()
    return process
