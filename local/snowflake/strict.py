"""Refuses what Snowflake refuses when a VARIANT column is filled: text is not a VARIANT until it is parsed."""

from __future__ import annotations

import duckdb
from snowflake.connector.errors import ProgrammingError
from sqlglot import Expr, exp

from local.snowflake.statements import full_name, written_table

SEMI_STRUCTURED = (exp.ParseJSON, exp.Struct, exp.JSONObject, exp.Array, exp.ObjectInsert)
PLAIN_TYPES = ("VARCHAR", "BIGINT", "INTEGER", "HUGEINT", "DECIMAL", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP")
COLUMNS_SQL = """
SELECT column_name, data_type FROM duckdb_columns()
WHERE database_name = ? AND schema_name = ? AND table_name = ? ORDER BY column_index
"""


def check_values_clause(statement: Expr) -> None:
    """Raise Snowflake's 002014 for PARSE_JSON and its like inside VALUES, which Snowflake takes in a SELECT only."""
    if not (isinstance(statement, exp.Insert) and isinstance(statement.expression, exp.Values)):
        return
    found = statement.expression.find(*SEMI_STRUCTURED)
    if found is not None:
        text = found.sql(dialect="snowflake")
        raise ProgrammingError(
            msg=f"SQL compilation error:\nInvalid expression [{text}] in VALUES clause", errno=2014, sqlstate="22000"
        )


def check_variant_columns(
    duck: duckdb.DuckDBPyConnection, insert: exp.Insert, database: str | None, schema: str | None
) -> None:
    """Raise Snowflake's 002023 when `insert`, in DuckDB's words already, puts something else into a VARIANT column."""
    table = written_table(insert)
    if table is None or insert.expression is None:
        return
    columns = duck.execute(COLUMNS_SQL, full_name(table, database, schema).split(".")).fetchall()
    if not any(kind == "JSON" for _, kind in columns):
        return
    if isinstance(insert.this, exp.Schema):
        kinds = {name.upper(): kind for name, kind in columns}
        columns = [(i.name, kinds.get(i.name.upper(), "")) for i in insert.this.expressions]
    for (name, kind), given in zip(columns, _types(duck, insert.expression), strict=False):
        if kind == "JSON" and given.startswith(PLAIN_TYPES) and not given.endswith("[]"):
            message = f"Expression type does not match column data type, expecting VARIANT but got {given} for {name}"
            raise ProgrammingError(msg=f"SQL compilation error:\n{message}", errno=2023, sqlstate="22000")


def _types(duck: duckdb.DuckDBPyConnection, rows: Expr) -> list[str]:
    bound = rows.transform(lambda node: exp.null() if isinstance(node, exp.Placeholder) else node)
    query = exp.select("*").from_(exp.Subquery(this=bound)) if isinstance(rows, exp.Values) else bound
    return [str(row[1]) for row in duck.execute(f"DESCRIBE {query.sql(dialect='duckdb')}").fetchall()]
