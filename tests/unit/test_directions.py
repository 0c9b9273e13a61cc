"""The directions of dependencies (docs/architecture.md) as a test over every import in the code."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"dags", "plugins", "include", "ingest_api", "local", "bench", "tests", "deploy"}
DAG_MODULES = {file.stem for file in (ROOT / "dags").glob("*.py")}

# Folder -> our packages it may import.
ALLOWED = {
    "dags": {"include", "dags"},
    "plugins": {"include"},
    "include": {"include"},
    "ingest_api": {"ingest_api", "include.contract", "include.errors"},
    "include/contract": {"include.contract", "include.errors"},
}
WITH_AIRFLOW = {"dags", "plugins", "local"}
WORKING = ("topic", "quality", "lake", "warehouse", "destinations")
"""Modules of include that each speak with one part or vendor, and never with one another."""
LIGHT = {"confluent_kafka", "msgspec", "isal"}
"""All that the contract may need beside the standard library: it is in the API's image."""


def _imports(file: Path) -> Iterator[str]:
    """Yield every module that a file imports, wherever the statement stands; `from a import b` counts as a.b."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _ours(module: str) -> bool:
    return module.partition(".")[0] in OURS | DAG_MODULES


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    allowed = ALLOWED[folder] | (DAG_MODULES if folder == "dags" else set())
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in _files(folder)
        for module in _imports(file)
        if _ours(module) and not any(_is_in(module, package) for package in allowed)
    ]
    assert not wrong


def test_airflow_stays_outside_of_include_and_the_api() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for folder in sorted(OURS - WITH_AIRFLOW - {"tests"})
        for file in _files(folder)
        for module in _imports(file)
        if _is_in(module, "airflow")
    ]
    assert not wrong


def test_nothing_but_tests_imports_tests() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for folder in sorted(OURS - {"tests"})
        for file in _files(folder)
        for module in _imports(file)
        if _is_in(module, "tests")
    ]
    assert not wrong


@pytest.mark.parametrize("name", WORKING)
def test_working_modules_do_not_import_one_another(name: str) -> None:
    path = ROOT / "include" / name
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    assert files
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in files
        for module in _imports(file)
        for other in WORKING
        if other != name and _is_in(module, f"include.{other}")
    ]
    assert not wrong


def test_the_contract_is_light() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in [*_files("include/contract"), ROOT / "include" / "errors.py"]
        for module in _imports(file)
        if not _ours(module) and module.partition(".")[0] not in sys.stdlib_module_names | LIGHT
    ]
    assert not wrong


def test_every_dag_file_declares_only() -> None:
    """No heavy import when a DAG file is parsed: at its top level only the standard library, Airflow and our module."""
    wrong = [
        f"{file.name} imports {name}"
        for file in _files("dags")
        for name in _at_top_level(file)
        if name.partition(".")[0] not in sys.stdlib_module_names | {"airflow", "pipeline_common"}
    ]
    assert not wrong


def _at_top_level(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_the_search_finds_a_forbidden_import(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("def late():\n    from airflow.sdk import dag\n    import dags.stage_events as name\n")
    assert list(_imports(file)) == ["airflow.sdk.dag", "dags.stage_events"]
    assert _ours("pipeline_common.lake")
    assert not _is_in("include.contractual", "include.contract")
