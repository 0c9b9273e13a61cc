"""The SQL of `include/sql`, by file and name; identifiers are filled in here, values are always bound."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

SQL = Path(__file__).parent / "sql"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$.]*")
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def statement(file: str, name: str, dates: Iterable[str] | None = None, **identifiers: str) -> str:
    """Return the statement `-- name: <name>` of `include/sql/<file>.sql`.

    Args:
        file: path below `include/sql`, without suffix.
        name: the statement's name in it.
        dates: fills `{dates}` with literals, because Snowflake prunes by literals (design rule 7).
        identifiers: fill the other placeholders.

    Raises:
        KeyError: there is no such statement.
        ValueError: an identifier or date is not one; quoting is needed nowhere, so it is not offered.

    """
    for key, identifier in identifiers.items():
        if not _IDENTIFIER.fullmatch(identifier):
            raise ValueError(f"{key}={identifier!r} is not a plain SQL identifier")
    filled = dict(identifiers)
    if dates is not None:
        filled["dates"] = ", ".join(f"'{_date(date)}'" for date in sorted(dates))
    return _named(file)[name].format_map(filled)


def ddl() -> list[tuple[str, str]]:
    """Return the migrations in order: file name and text with `{database}`-like placeholders."""
    return [(path.name, path.read_text()) for path in sorted((SQL / "ddl").glob("*.sql"))]


def _date(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(f"{text!r} is not a date")
    return text


@lru_cache(maxsize=32)
def _named(file: str) -> dict[str, str]:
    pieces = _NAME.split((SQL / f"{file}.sql").read_text())[1:]
    return {name: text.strip().removesuffix(";") for name, text in zip(pieces[::2], pieces[1::2], strict=True)}
