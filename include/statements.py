"""The SQL of `include/sql`, by file and name; identifiers are filled in here, values are always bound."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

SQL = Path(__file__).parent / "sql"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$.]*")
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_ON_DATES = re.compile(r"([\w.]+) IN \(\{dates\}\)")
MAX_DATES = 1_000
"""Most dates that a statement lists, because clients choose the dates of their events.

Of more than these the newest are listed, and one range spans all older ones. Dates only prune: every statement matches
the exact date, batch or load as well, so that what the range has too much makes it slower and never wrong.
"""


def statement(file: str, name: str, dates: Iterable[str] | None = None, **identifiers: str) -> str:
    """Return the statement `-- name: <name>` of `include/sql/<file>.sql`.

    Args:
        file: path below `include/sql`, without suffix.
        name: the statement's name in it.
        dates: fills `COLUMN IN ({dates})` with literals, because Snowflake prunes by literals (design rule 7).
        identifiers: fill the other placeholders.

    Raises:
        KeyError: there is no such statement.
        ValueError: an identifier or date is not one; quoting is needed nowhere, so it is not offered.

    """
    for key, identifier in identifiers.items():
        if not _IDENTIFIER.fullmatch(identifier):
            raise ValueError(f"{key}={identifier!r} is not a plain SQL identifier")
    text = _named(file)[name]
    if dates is not None:
        listed = sorted(map(_date, dates))
        text = _ON_DATES.sub(lambda column: _on_dates(column[1], listed), text)
    return text.format_map(identifiers)


def ddl() -> list[tuple[str, str]]:
    """Return the migrations in order: file name and text with `{database}`-like placeholders."""
    return [(path.name, path.read_text()) for path in sorted((SQL / "ddl").glob("*.sql"))]


def _on_dates(column: str, dates: Sequence[str]) -> str:
    older, newest = dates[:-MAX_DATES], dates[-MAX_DATES:]
    literals = ", ".join(f"'{date}'" for date in newest)
    listed = f"{column} IN ({literals})"
    return f"({listed} OR {column} BETWEEN '{older[0]}' AND '{older[-1]}')" if older else listed


def _date(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(f"{text!r} is not a date")
    return text


@lru_cache(maxsize=32)
def _named(file: str) -> dict[str, str]:
    pieces = _NAME.split((SQL / f"{file}.sql").read_text())[1:]
    return {name: text.strip().removesuffix(";") for name, text in zip(pieces[::2], pieces[1::2], strict=True)}
