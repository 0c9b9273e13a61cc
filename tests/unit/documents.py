"""README and docs for the tests: their code blocks, their marked parts and their links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def blocks(file: Path, language: str) -> Iterator[str]:
    """Yield the code blocks of a language, without their indentation."""
    for indent, found, code in BLOCK.findall(file.read_text()):
        if found == language:
            yield re.sub(f"^{indent}", "", code, flags=re.MULTILINE)


def part(file: Path, name: str) -> str:
    """Return what stands between the comments `<!-- name -->` and `<!-- /name -->`."""
    found = re.search(rf"<!-- {name} -->\n?(.*?)\n?<!-- /{name} -->", file.read_text(), re.DOTALL)
    if found is None:
        raise ValueError(f"{file.name} has no part {name}")
    return found[1]


def rows(table: str) -> list[list[str]]:
    """Return the cells of a Markdown table, head and rule left out."""
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def links(file: Path) -> Iterator[str]:
    """Yield the targets of all links outside code blocks."""
    yield from LINK.findall(BLOCK.sub("", file.read_text()))


def anchors(file: Path) -> set[str]:
    """Return the anchors that a code host gives the headings."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
