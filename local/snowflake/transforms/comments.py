"""Comments on tables and columns, with any text in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import Expr, exp

if TYPE_CHECKING:
    from local.snowflake.session import Session


def on_column(expression: Expr, _session: Session) -> Expr:
    """Snowflake's COMMENT ON COLUMN; DuckDB keeps it, and INFORMATION_SCHEMA.COLUMNS shows it."""
    if isinstance(expression, exp.Comment) and expression.args.get("kind") == "COLUMN":
        name = expression.this.transform(_upper).sql(dialect="duckdb")
        return exp.Command(this="COMMENT", expression=f"ON COLUMN {name} IS {_text(expression.expression.name)}")
    return expression


def column_comments(create: exp.Create) -> list[str]:
    """Return the DuckDB statements for the COMMENT of each column of a CREATE TABLE."""
    table = create.find(exp.Table)
    if table is None or not isinstance(create.this, exp.Schema):
        return []
    found = []
    for column in create.this.find_all(exp.ColumnDef):
        comment = column.find(exp.CommentColumnConstraint)
        if comment is not None:
            parts = [*table.parts, column.this]
            name = ".".join(_upper(part.copy()).sql(dialect="duckdb") for part in parts)
            found.append(f"COMMENT ON COLUMN {name} IS {_text(comment.this.name)}")
    return found


def quoted_table_comment(expression: Expr) -> Expr:
    """Snowflake's table comments may hold quotes, and a table without one has none; fakesnow pastes them into SQL."""
    if "table_comment" in expression.args:
        table, comment = expression.args["table_comment"]
        if comment is None:
            del expression.args["table_comment"]
        else:
            expression.args["table_comment"] = (table, comment.replace("'", "''"))
    return expression


def _upper(node: Expr) -> Expr:
    if isinstance(node, exp.Identifier) and not node.args.get("quoted"):
        return exp.to_identifier(node.name.upper(), quoted=True)
    return node


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
