"""Runbooks: each page that a message names exists, each page is named from somewhere, and all are built alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit import documents

ROOT = documents.ROOT
RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES = sorted(page for page in RUNBOOKS.glob("*.md") if page.name != "README.md")
HEADINGS = ["What you see", "Why", "What to do", "How to check"]
CODE = [file for folder in ("include", "dags", "ingest_api") for file in sorted((ROOT / folder).rglob("*.py"))]


def _named() -> set[str]:
    """Return the pages that code names, hops of the reconciliation among them."""
    text = "\n".join(file.read_text() for file in CODE)
    hops = re.findall(r'(?:Hop|_compared)\(f?"(\w+)', (ROOT / "include" / "reconcile.py").read_text())
    vendors = [file.stem for file in (ROOT / "include" / "destinations").glob("*.json")]
    found = {hop + vendor for hop in hops for vendor in (vendors if hop.endswith("_") else [""])}
    return set(re.findall(r"docs/runbooks/([\w-]+)\.md", text)) - {"README"} | {hop.replace("_", "-") for hop in found}


def test_every_page_that_a_message_names_exists_and_every_page_is_named() -> None:
    assert {page.stem for page in PAGES} == _named()


def test_the_hops_are_among_what_is_named() -> None:
    assert {"kafka-to-lake", "events-twice", "lake-to-failed-events", "warehouse-to-amplitude"} <= _named()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_the_headings_and_little_else(page: Path) -> None:
    text = documents.BLOCK.sub("", page.read_text())
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert len(re.findall(r"^# .+$", text, re.MULTILINE)) == 1
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", page.stem)
    assert len(text.splitlines()) <= 70, "an on-call person reads it at night"


def test_the_index_has_every_page() -> None:
    assert sorted(documents.links(RUNBOOKS / "README.md")) == [page.name for page in PAGES]


def test_pages_have_no_commands_in_blocks_that_no_test_runs() -> None:
    languages = {found for page in PAGES for _, found, _ in documents.BLOCK.findall(page.read_text())}
    assert languages == {"sh", "sql"}
    assert all("```\n" not in documents.BLOCK.sub("", page.read_text()) for page in PAGES)
