"""Rows that a client sends with a statement, as an Arrow table: array bindings, and long VALUES clauses of literals.

Snowflake runs both as one statement. Parsed row by row they take milliseconds each, as a table microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
from fakesnow.converter import from_binding
from fakesnow.dialect import parse_one
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp

MIN_TEXT = 10_000
MAX_EXPRESSIONS = 16_384  # Snowflake's limit for the rows of a VALUES clause
INSERT = re.compile(r"\s*INSERT\s+INTO\s+[\w.\"$]+\s*(\([^()]*\)\s*)?VALUES\s*(?=\()", re.IGNORECASE)
LITERAL = re.compile(
    r"\s*('(?:[^'\\]|\\.|'')*'|NULL|TRUE|FALSE|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([,)])", re.DOTALL | re.IGNORECASE
)
BETWEEN_ROWS = re.compile(r"\s*(,\s*\(|;?\s*\Z)")
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)|''", re.DOTALL)
CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}


class BulkInsert(NamedTuple):
    """An INSERT whose rows are in `rows`; `sql` names them as the table `{rows}`."""

    sql: str
    rows: pa.Table


def from_text(sql: str) -> BulkInsert | None:
    """Split INSERT ... VALUES (literals), ... into the statement and its rows; None for anything else."""
    head = INSERT.match(sql) if len(sql) >= MIN_TEXT else None
    rows = _literal_rows(sql, head.end()) if head else None
    if head is None or not rows or len({len(row) for row in rows}) != 1:
        return None
    if len(rows) > MAX_EXPRESSIONS:
        message = "maximum number of expressions in a list exceeded, expected at most "
        raise ProgrammingError(
            msg=f"SQL compilation error:\n{message}{MAX_EXPRESSIONS:,}, got {len(rows):,}", errno=1795, sqlstate="42601"
        )
    # All as text: DuckDB casts each to its column's type, as it would the literal.
    table = _table([pa.array(column, pa.string()) for column in zip(*rows, strict=True)])
    into = re.sub(r"VALUES\s*\Z", "", head.group().rstrip(), flags=re.IGNORECASE).rstrip()
    return BulkInsert(f"{into} SELECT * FROM {{rows}}", table)  # noqa: S608 -- it is the client's SQL


def _literal_rows(sql: str, start: int) -> list[list[str | None]] | None:
    rows: list[list[str | None]] = []
    position = start + 1
    while True:
        row: list[str | None] = []
        while found := LITERAL.match(sql, position):
            row.append(_value(found.group(1)))
            position = found.end()
            if found.group(2) == ")":
                break
        else:
            return None
        rows.append(row)
        after = BETWEEN_ROWS.match(sql, position)
        if after is None:
            return None
        if "(" not in after.group():
            return rows
        position = after.end()


def _value(literal: str) -> str | None:
    if literal[0] == "'":
        return ESCAPE.sub(_unescape, literal[1:-1])
    return None if literal.upper() == "NULL" else literal


def _unescape(found: re.Match[str]) -> str:
    escape = found.group(1)
    if escape is None:
        return "'"
    if len(escape) > 1:
        return chr(int(escape[1:], 16))
    return CONTROL.get(escape, escape)


def from_bindings(sql: str, bindings: Mapping[str, Mapping[str, Any]]) -> BulkInsert:
    """Turn INSERT ... VALUES (?, ...) with an array per placeholder into an INSERT ... SELECT over those arrays."""
    statement = parse_one(sql)
    values = statement.find(exp.Values)
    if not isinstance(statement, exp.Insert) or values is None or len(values.expressions) != 1:
        raise ProgrammingError(
            msg="Array bindings are supported for INSERT ... VALUES (?, ...) only.", errno=2010, sqlstate="42601"
        )
    columns = [_column(bindings[str(number + 1)]) for number in range(len(bindings))]
    row = values.expressions[0]
    for number, placeholder in enumerate(list(row.find_all(exp.Placeholder, bfs=False))):
        placeholder.replace(exp.column(f"COLUMN{number + 1}", quoted=True))
    rows = exp.select(*row.expressions).from_(exp.Table(this=exp.to_identifier("__ROWS__", quoted=True)))
    if values is statement.expression:
        statement.set("expression", rows)
    else:
        values.replace(exp.Subquery(this=rows, alias=values.args.get("alias")))
    return BulkInsert(_named(statement.sql(dialect="snowflake")), _table(columns))


def _named(sql: str) -> str:
    return sql.replace("{", "{{").replace("}", "}}").replace('"__ROWS__"', "{rows}")


def python_value(binding: Mapping[str, Any]) -> object:
    """Return the value of a binding; fakesnow's function leaves REAL as text and gives TIMESTAMP_NTZ a time zone."""
    if binding["value"] is None:
        return None
    if binding["type"] == "REAL":
        return float(binding["value"])
    value = from_binding(dict(binding))
    return value.replace(tzinfo=None) if isinstance(value, datetime) and binding["type"] == "TIMESTAMP_NTZ" else value


def _column(binding: Mapping[str, Any]) -> pa.Array:
    values = [python_value({**binding, "value": value}) for value in binding["value"]]
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _table(columns: Sequence[pa.Array]) -> pa.Table:
    return pa.table({f"COLUMN{number + 1}": column for number, column in enumerate(columns)})
