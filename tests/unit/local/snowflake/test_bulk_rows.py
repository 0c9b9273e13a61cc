"""Rows of an INSERT as a table: literals of every kind, and nothing that is not a literal."""

from __future__ import annotations

import pytest
from snowflake.connector.converter import SnowflakeConverter
from snowflake.connector.errors import ProgrammingError

from local.snowflake import bulk_rows

NASTY = [
    "it's",
    "a\\b",
    "line\nbreak\ttab",
    '"',
    "), (",
    "--",
    "/* */",
    "%s",
    "{rows}",
    "ü€😀",
    "",
    " ",
    "NULL",
    "'",
    "\\'",
]


def insert(rows: list[str], head: str = "INSERT INTO D.S.T (A, B) VALUES ") -> str:
    return head + ",".join(rows) + " " * bulk_rows.MIN_TEXT


def test_the_connectors_own_quoting_comes_back() -> None:
    converter = SnowflakeConverter()
    quoted = [converter.quote(converter.escape(value)) for value in NASTY]
    found = bulk_rows.from_text(insert([f"({text}, {number})" for number, text in enumerate(quoted)]))
    assert found is not None
    assert found.sql.format(rows="R") == "INSERT INTO D.S.T (A, B) SELECT * FROM R"
    assert found.rows.column("COLUMN1").to_pylist() == NASTY
    assert found.rows.column("COLUMN2").to_pylist() == [str(number) for number in range(len(NASTY))]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("NULL", None),
        ("null", None),
        ("TRUE", "TRUE"),
        ("-1.5e-3", "-1.5e-3"),
        ("'\\u0041\\x42'", "AB"),
        ("'don''t'", "don't"),
    ],
)
def test_literals(literal: str, value: str | None) -> None:
    found = bulk_rows.from_text(insert([f"( {literal} )"], "insert into t values"))
    assert found is not None
    assert found.rows.column("COLUMN1").to_pylist() == [value]


@pytest.mark.parametrize(
    "rows",
    [
        ["(PARSE_JSON('{}'), 1)"],
        ["(1, 2)", "(1)"],
        ["(1, 2"],
        ["('open, 2)"],
        ["(1, 2) SELECT"],
        ["(1 + 1, 2)"],
        ["('a'::DATE, 2)"],
        ["(A, 2)"],
    ],
)
def test_anything_else_is_left_to_the_parser(rows: list[str]) -> None:
    assert bulk_rows.from_text(insert(rows)) is None


def test_short_statements_are_left_to_the_parser() -> None:
    assert bulk_rows.from_text("INSERT INTO T VALUES (1)") is None


def test_snowflakes_limit_of_rows() -> None:
    assert bulk_rows.from_text(insert(["(1)"] * bulk_rows.MAX_EXPRESSIONS)) is not None
    with pytest.raises(ProgrammingError, match="16,384"):
        bulk_rows.from_text(insert(["(1)"] * (bulk_rows.MAX_EXPRESSIONS + 1)))


def test_array_bindings_become_columns() -> None:
    bindings: dict[str, dict[str, object]] = {
        "1": {"type": "TEXT", "value": ['{"k": 1}', None]},
        "2": {"type": "FIXED", "value": ["7", "8"]},
    }
    found = bulk_rows.from_bindings(
        "INSERT INTO T (V, N) SELECT PARSE_JSON(column1), column2 FROM VALUES (?, ?)", bindings
    )
    assert found.rows.to_pylist() == [{"COLUMN1": '{"k": 1}', "COLUMN2": 7}, {"COLUMN1": None, "COLUMN2": 8}]
    assert "FROM R" in found.sql.format(rows="R")
    with pytest.raises(ProgrammingError, match="Array bindings"):
        bulk_rows.from_bindings("UPDATE T SET N = ?", bindings)
