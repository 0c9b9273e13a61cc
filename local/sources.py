"""`make sources`: the ingest API's command on the stack's sources file; and the sources that a stack has by itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from include.contract.source import Source
from include.contract.sources_file import edit
from local import credentials
from local.credentials import Credentials
from local.paths import API_PYTHON, ROOT
from local.settings import local_settings

_OLD_PLATFORM = "phone"


def file(state: Path) -> Path:
    """Return where a stack keeps its sources."""
    return state / "sources.json"


def complete(path: Path, kept: Credentials) -> None:
    """Add to the file what a stack's own parts need and lack; whatever an operator has changed there stays.

    Raises SetupError when the file is broken as a whole.
    """
    with edit(path) as entries:
        for source in credentials.sources(kept):
            index = entries.position(source.id)
            if index is None:
                entries.append(_entry(source))
            elif entries.members(index).get("platform") == _OLD_PLATFORM:
                # A state made by an older version.
                entries.change(index, platform=source.platform)


def _entry(source: Source) -> dict[str, object]:
    members = msgspec.to_builtins(source)
    return {name: value for name, value in members.items() if name != "limits"}


def main(arguments: list[str]) -> None:
    """Become the API's command, in the API's environment, on the file of the stack that the settings name.

    `create` works before the first start as well: the stack then adds its own.
    """
    state = ROOT / local_settings().state_dir
    if not file(state).exists() and {"-h", "--help", "create"}.isdisjoint(arguments):
        print("There are no sources yet; run `make run` once, or add one with `create`.", file=sys.stderr)
        sys.exit(1)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(ROOT)
    environ = {**os.environ, "INGEST_SOURCES_PATH": str(file(state))}
    os.execve(API_PYTHON, [str(API_PYTHON), "-m", "ingest_api.sources", *arguments], environ)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
