"""Reads our view the way Amplitude's timestamp import does, through the real Snowflake connector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import snowflake.connector
from snowflake.connector import DictCursor
from snowflake.connector.errors import ProgrammingError

from local.amplitude.events import OBJECT_FIELDS

UPDATE_TIME = "update_time_column"
BEGINNING = "1970-01-01 00:00:00"
DOES_NOT_EXIST = (2003, 2043)
FETCH_ROWS = 5_000
TIMEOUTS = {"login_timeout": 15, "network_timeout": 60}
_FOLDER = Path(__file__).parent


class ViewMissingError(Exception):
    """The view (or its schema or database) is not there yet, as before the first set-up of the warehouse."""


class Publication(NamedTuple):
    """All rows of the view that carry one update time."""

    update_time: str
    rows: int


class Row(NamedTuple):
    """One row as an upload event, with its update time."""

    update_time: str
    event: dict[str, Any]


class View:
    """One connection to the view; any error means: close it and connect again."""

    def __init__(self, connect_arguments: Mapping[str, Any], operator: str) -> None:
        self._connection = snowflake.connector.connect(**{**TIMEOUTS, **connect_arguments})
        self._publications = _statement("publications").format(operator=operator)
        self._rows = _statement("rows")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def publications(self, cursor: str | None) -> list[Publication]:
        """List what lies beyond the last maximum, oldest first; raises ViewMissingError."""
        rows = self._query(self._publications, {"cursor": cursor or BEGINNING})
        return [Publication(_text(row["update_time"]), int(row["rows"])) for row in rows]

    def rows(self, first: str, last: str) -> Iterator[Row]:
        """Yield the rows of the publications from `first` to `last`, both included."""
        for row in self._query(self._rows, {"first": first, "last": last}):
            update_time = _text(row.pop(UPDATE_TIME))
            yield Row(update_time, {name: _value(name, value) for name, value in row.items() if value is not None})

    def _query(self, statement: str, values: dict[str, str]) -> Iterator[dict[str, Any]]:
        with closing(self._connection.cursor(DictCursor)) as cursor:
            try:
                cursor.execute(statement, values)
            except ProgrammingError as error:
                if error.errno in DOES_NOT_EXIST:
                    raise ViewMissingError from error
                raise
            while page := cursor.fetchmany(FETCH_ROWS):
                yield from page


def _statement(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _text(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="microseconds")


def _value(name: str, value: object) -> object:
    """Turn the connector's value into JSON's: VARIANT comes as text, NUMBER may come as Decimal."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if name in OBJECT_FIELDS and isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value
