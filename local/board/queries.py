"""Runs the board's SQL files on the warehouse stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def query(connection: Any, name: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """Return the rows of `<name>.sql`."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(_text(name), dict(values))
        return [tuple(row) for row in cursor.fetchall()]


@lru_cache
def _text(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
