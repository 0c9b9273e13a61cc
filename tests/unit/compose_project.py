"""docker-compose.yaml for the tests: variables filled in as Compose does it, images as folders of files."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yaml"
SCHEMA = Path(__file__).parent / "data" / "compose-spec.json"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<how>:-|:\?)(?P<rest>[^}]*))?\}")


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCHEMA.read_text())
    return found


def plain() -> dict[str, Any]:
    """Return the file as it is written, YAML anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def rendered(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the file with its variables filled in; KeyError names a required one that is missing."""
    filled: dict[str, Any] = _fill(plain(), environ)
    return filled


def variables() -> dict[str, set[str]]:
    """Return each variable of the file with how it is used: ':?' required, ':-…' with a default, '' bare."""
    found: dict[str, set[str]] = {}
    for match in VARIABLE.finditer(FILE.read_text()):
        use = match["how"] + match["rest"] if match["how"] == ":-" else match["how"] or ""
        found.setdefault(match["name"], set()).add(use)
    return found


def build_context(dockerfile: Path, target: Path) -> Path:
    """Copy what the Dockerfile's own .dockerignore lets through, as the builder would see it."""
    lines = dockerfile.with_name(dockerfile.name + ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    if rules[0] != "*" or rules[-1] != "**/__pycache__":
        raise ValueError(f"{dockerfile} needs an ignore file that starts with * and ends with **/__pycache__")
    for rule in rules[1:-1]:
        source, copy = ROOT / rule.removeprefix("!"), target / rule.removeprefix("!")
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        elif source.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    return target


def _fill(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(part, environ) for key, part in value.items()}
    if isinstance(value, list):
        return [_fill(part, environ) for part in value]
    return VARIABLE.sub(lambda match: _value(match, environ), value) if isinstance(value, str) else value


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    found = environ.get(match["name"])
    if found:
        return found
    if match["how"] == ":-":
        return match["rest"]
    raise KeyError(f"{match['name']} is not set: {match['rest']}")
