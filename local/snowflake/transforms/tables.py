"""CREATE, ALTER and TRUNCATE TABLE: what Snowflake enforces and what it only notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakesnow.transforms import SUCCESS_NOP
from snowflake.connector.errors import ProgrammingError
from sqlglot import Expr, exp

from local.snowflake.statements import full_name

if TYPE_CHECKING:
    from local.snowflake.session import Session

NOTED_OPTIONS = {
    "CHANGE_TRACKING",
    "DATA_RETENTION_TIME_IN_DAYS",
    "MAX_DATA_EXTENSION_TIME_IN_DAYS",
    "ENABLE_SCHEMA_EVOLUTION",
}
UNENFORCED = (exp.PrimaryKey, exp.ForeignKey, exp.UniqueColumnConstraint, exp.Constraint)
UNENFORCED_KINDS = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.Reference)


def table_exists(session: Session, table: exp.Table) -> bool:
    """Say whether `table` (or a view of that name) exists."""
    parts = full_name(table, session.database, session.schema).split(".")
    query = "SELECT 1 FROM information_schema.tables WHERE table_catalog = ? AND table_schema = ? AND table_name = ?"
    return session.duck.execute(query, parts).fetchone() is not None


def is_base_table(session: Session, table: exp.Table) -> bool:
    """Say whether `table` is a table and not a view, a function or something of the query itself."""
    if not isinstance(table.this, exp.Identifier):
        return False
    parts = full_name(table, session.database, session.schema).split(".")
    query = "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?"
    return session.duck.execute(query, parts).fetchone() is not None


def alter_options(expression: Expr, session: Session) -> Expr:
    """Snowflake's ALTER TABLE SET CHANGE_TRACKING and retention: kept by Snowflake's storage, without effect here."""
    actions = expression.args.get("actions") or [] if isinstance(expression, exp.Alter) else []
    if len(actions) != 1 or not isinstance(actions[0], exp.AlterSet):
        return expression
    names = {option.name.upper() for option in actions[0].find_all(exp.Property)}
    if not names or not names <= NOTED_OPTIONS:
        return expression
    if not table_exists(session, expression.this) and not expression.args.get("exists"):
        raise _missing(expression.this)
    return SUCCESS_NOP.copy()


def truncate_if_exists(expression: Expr, session: Session) -> Expr:
    """Snowflake's TRUNCATE TABLE IF EXISTS, which DuckDB lacks."""
    if not (isinstance(expression, exp.TruncateTable) and expression.args.get("exists")):
        return expression
    if not table_exists(session, expression.expressions[0]):
        return SUCCESS_NOP.copy()
    expression.set("exists", None)
    return expression


def unenforced_constraints(expression: Expr, _session: Session) -> Expr:
    """Snowflake notes PRIMARY KEY, UNIQUE and FOREIGN KEY but enforces none; a primary key's columns are NOT NULL."""
    if not (isinstance(expression, exp.Create) and isinstance(expression.this, exp.Schema)):
        return expression
    required = {i.name.upper() for key in expression.find_all(exp.PrimaryKey) for i in key.find_all(exp.Identifier)}
    kept = [part for part in expression.this.expressions if not isinstance(part, UNENFORCED)]
    for column in kept:
        constraints = column.args.get("constraints") or []
        is_key = any(isinstance(c.args.get("kind"), exp.PrimaryKeyColumnConstraint) for c in constraints)
        rest = [c for c in constraints if not isinstance(c.args.get("kind"), UNENFORCED_KINDS)]
        not_null = any(isinstance(c.args.get("kind"), exp.NotNullColumnConstraint) for c in rest)
        if (is_key or column.name.upper() in required) and not not_null:
            rest.append(exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))
        if isinstance(column, exp.ColumnDef):
            column.set("constraints", rest)
    expression.this.set("expressions", kept)
    return expression


def text_lengths(expression: Expr, _session: Session) -> Expr:
    """Snowflake refuses a string longer than its column (100078); DuckDB ignores VARCHAR's length, a CHECK does not."""
    if not (isinstance(expression, exp.Create) and isinstance(expression.this, exp.Schema)):
        return expression
    for column in expression.this.find_all(exp.ColumnDef):
        kind = column.args.get("kind")
        sizes = list(kind.find_all(exp.DataTypeParam)) if isinstance(kind, exp.DataType) else []
        if sizes and isinstance(kind, exp.DataType) and kind.this in exp.DataType.TEXT_TYPES:
            length = exp.Anonymous(this="length", expressions=[exp.column(column.this.copy())])
            check = exp.LTE(this=length, expression=sizes[0].this.copy())
            column.append("constraints", exp.ColumnConstraint(kind=exp.CheckColumnConstraint(this=check)))
    return expression


def _missing(table: exp.Table) -> ProgrammingError:
    message = f"SQL compilation error:\nTable '{table.sql(dialect='snowflake')}' does not exist or not authorized."
    return ProgrammingError(msg=message, errno=2003, sqlstate="42S02")
