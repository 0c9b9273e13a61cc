"""README and docs say what the code does: tables, links, commands and limits are compared with it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import msgspec
import pytest

from include.backfill.wish import MEANINGS
from include.contract.dialects import amplitude, segment
from include.contract.dialects.mapping import Table
from include.contract.event import Event
from include.contract.kafka_settings import KafkaConnection
from include.statements import ddl
from ingest_api import openapi
from ingest_api.outcomes import Outcome
from ingest_api.settings import Settings
from local import paths
from local.settings import LocalSettings
from tests.unit import documents

ROOT = documents.ROOT
DOCS = ROOT / "docs"
SHELL = [
    (file, line) for file in documents.FILES for block in documents.blocks(file, "sh") for line in block.split("\n")
]


def test_the_error_table_is_that_of_the_api() -> None:
    wanted = [[str(one.status), f"`{one.error}`", f"{one.meaning}."] for one in Outcome]
    assert documents.rows(documents.part(DOCS / "client-guide.md", "outcomes")) == wanted


def test_the_limits_are_those_of_the_api() -> None:
    limits = {field.name: field.default for field in msgspec.structs.fields(Settings)}
    wanted = [limits[name] for name in ("max_body_bytes", "max_inflated_bytes", "max_events")]
    numbers = re.findall(r"[\d,]+", documents.part(DOCS / "client-guide.md", "limits"))
    assert [int(number.replace(",", "")) for number in numbers if number != ","] == wanted


@pytest.mark.parametrize(
    ("part", "setting"),
    [
        ("event-limit", "max_event_bytes"),
        ("header-limit", "header_timeout_ms"),
        ("body-limit", "body_timeout_ms"),
        ("send-limit", "send_timeout_ms"),
        ("wait-limit", "in_flight_wait_ms"),
    ],
)
def test_the_other_limits_are_those_of_the_api(part: str, setting: str) -> None:
    limits = {field.name: field.default for field in msgspec.structs.fields(Settings)}
    assert documents.part(DOCS / "client-guide.md", part).strip().replace(",", "") == str(limits[setting])


def test_the_guide_to_overload_names_settings_that_exist() -> None:
    named = re.findall(r"`INGEST_(\w+)`", (DOCS / "overload.md").read_text())
    assert named
    assert {name.lower() for name in named} <= set(Settings.__struct_fields__)


def test_the_client_guide_knows_the_platforms_and_versions_of_the_suite() -> None:
    suite = json.loads((ROOT / "great_expectations/expectations/events.json").read_text())
    sets = {
        one["kwargs"]["column"]: one["kwargs"]["value_set"]
        for one in suite["expectations"]
        if one["type"] == "expect_column_values_to_be_in_set" and one["severity"] == "critical"
    }
    table = {row[0]: " ".join(row[1:]) for row in documents.rows(_section("client-guide.md", "What an event has"))}
    assert re.findall(r"`(\w+)`", table["`platform`"]) == sets["platform"]
    assert [int(version) for version in re.findall(r"\d+", table["`schema_version`"])] == sets["schema_version"]


def test_the_client_guide_names_every_field() -> None:
    text = _section("client-guide.md", "What an event has")
    assert set(Event.__struct_fields__) <= set(re.findall(r"`(\w+)`", text))


@pytest.mark.parametrize(("name", "table"), [("amplitude", amplitude.TABLE), ("segment", segment.TABLE)])
def test_the_mappings_are_those_of_the_drain(name: str, table: Table) -> None:
    wanted = [
        [
            f"`{column.name}`",
            f"`{column.path}`" + (f" (`{'`, `'.join(sorted(column.calls))}` only)" if column.calls else ""),
            str(column.kind.__doc__).splitlines()[0].split(". ")[0].rstrip("."),
        ]
        for column in table.columns
    ]
    assert documents.rows(documents.part(DOCS / "dialects.md", name)) == wanted


def test_the_dialects_page_names_every_route() -> None:
    text = (DOCS / "dialects.md").read_text()
    routes = msgspec.json.decode(openapi.document(Settings(KafkaConnection())))["paths"]
    missing = [path for path in routes if path not in text and not re.fullmatch(r"/v1/[a-z]+|/health/.*", path)]
    assert missing == ["/metrics"]


def _section(file: str, title: str) -> str:
    return (DOCS / file).read_text().split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_dags_are_those_of_the_repository() -> None:
    ignored = (ROOT / "dags" / ".airflowignore").read_text().split()
    dags = {file.stem for file in (ROOT / "dags").glob("*.py") if file.name not in ignored}
    named = [row[0].strip("`") for row in documents.rows(documents.part(DOCS / "operating.md", "dags"))]
    assert sorted(named) == sorted(dags)


def test_the_tables_are_those_of_the_warehouse() -> None:
    text = "\n".join(text for _, text in ddl())
    made = set(re.findall(r"CREATE (?:OR REPLACE )?(?:TABLE|VIEW)(?: IF NOT EXISTS)? \{database\}\.([\w.]+)", text))
    named = re.findall(r"`([A-Z]+\.[A-Z_]+)`", documents.part(DOCS / "architecture.md", "tables"))
    assert set(named) == made


def test_the_metrics_are_those_of_the_api() -> None:
    # The metrics' library is in the API's environment only.
    code = "from ingest_api.numbers import Numbers, text; print(text(Numbers()).decode())"
    shown = subprocess.run([paths.API_PYTHON, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    help_of = dict(re.findall(r"^# HELP (\w+) (.+)$", shown, re.MULTILINE))
    wanted = [
        [f"`{name}`", kind, help_of[name]] for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", shown, re.MULTILINE)
    ]
    assert documents.rows(documents.part(DOCS / "operating.md", "metrics")) == wanted


@pytest.mark.parametrize("file", documents.FILES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    for link in documents.links(file):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = (file.parent / name).resolve() if name else file
        assert target.exists(), f"{file.name}: {link}"
        assert not anchor or anchor in documents.anchors(target), f"{file.name}: {link}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {name for file in documents.FILES for name in re.findall(r"`make ([a-z-]+)", file.read_text())}
    used |= {words[1] for _, line in SHELL if (words := line.split())[:1] == ["make"]}
    assert used
    assert used <= targets


def test_make_takes_the_documented_variables() -> None:
    makefile = (ROOT / "Makefile").read_text()
    text = "\n".join(file.read_text() for file in documents.FILES)
    for target, variable in re.findall(r"make ([a-z-]+) ([A-Z]+)=", text):
        recipe = makefile.split(f"\n{target}:", 1)[1].split("\n\n")[0]
        assert re.search(rf"\$[({{$](value )?{variable}\b", recipe), f"make {target} does not use {variable}"


def test_python_modules_of_commands_exist() -> None:
    used = {name for file in documents.FILES for name in re.findall(r"python3? -m ([\w.]+)", file.read_text())}
    assert "include.migrate" in used
    for name in used - {"airflow", "pytest"}:
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


def test_airflow_takes_the_documented_commands(tmp_path: Path) -> None:
    text = "\n".join(file.read_text() for file in documents.FILES).replace("\\\n", " ")
    commands = [shlex.split(found) for found in re.findall(r"-m airflow ([^`\n]+)", text)]
    assert ["pools", "import"] in [command[:2] for command in commands]
    code = """
import json, sys
from airflow.cli.cli_parser import get_parser
for command in json.loads(sys.argv[1]):
    get_parser().parse_args(command)
"""
    environ = {"AIRFLOW_HOME": str(tmp_path), "PATH": os.defpath}
    asked = [str(paths.PYTHON), "-c", code, json.dumps(commands)]
    done = subprocess.run(asked, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_files_named_in_the_text_exist() -> None:
    made_when_run = (".local", ".tools", ".env`")
    for file in documents.FILES:
        for name in re.findall(r"`((?:include|deploy|local|dags|ingest_api|docs)/[\w./-]+)`", file.read_text()):
            assert name.startswith(made_when_run) or (ROOT / name).exists(), f"{file.name}: {name}"


def test_the_ports_are_those_of_the_settings() -> None:
    ports = {str(field.default) for field in msgspec.structs.fields(LocalSettings) if field.name.endswith("_port")}
    for file in documents.FILES:
        assert set(re.findall(r"http://127\.0\.0\.1:(\d+)", file.read_text())) <= ports, file.name


def test_the_modes_of_a_backfill_are_those_of_the_command() -> None:
    table = documents.rows(documents.part(DOCS / "backfill.md", "modes"))
    assert table == [[f"`{mode}`", meaning] for mode, meaning in MEANINGS.items()]
