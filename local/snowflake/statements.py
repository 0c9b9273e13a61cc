"""Says what kind of statement a parsed Snowflake statement is and which table it writes, for transactions and locks."""

from __future__ import annotations

from enum import Enum

from sqlglot import Expr, exp

DML = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Copy, exp.TruncateTable)
LOCKING = (exp.Update, exp.Delete, exp.Merge, exp.TruncateTable)
DDL = (exp.Create, exp.Drop, exp.Alter, exp.Comment, exp.Grant, exp.Revoke)
DDL_WORDS = ("CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "UNDROP")


class Kind(Enum):
    """What a statement does to the session's transaction."""

    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    DML = "dml"
    DDL = "ddl"
    OTHER = "other"


_TCL: dict[type[Expr], Kind] = {exp.Transaction: Kind.BEGIN, exp.Commit: Kind.COMMIT, exp.Rollback: Kind.ROLLBACK}


def kind_of(expression: Expr) -> Kind:
    """Classify as Snowflake's page on transactions does: TRUNCATE is DML, every other change of an object is DDL."""
    if kind := _TCL.get(type(expression)):
        return kind
    if isinstance(expression, DML):
        return Kind.DML
    if isinstance(expression, exp.Alter) and expression.args.get("kind") == "SESSION":
        return Kind.OTHER
    if isinstance(expression, DDL):
        return Kind.DDL
    if isinstance(expression, exp.Command) and str(expression.this).upper() in DDL_WORDS:
        return Kind.DDL
    return Kind.OTHER


def written_table(expression: Expr) -> exp.Table | None:
    """Return the table that a DML statement changes."""
    if not isinstance(expression, DML):
        return None
    target = expression.expressions[0] if isinstance(expression, exp.TruncateTable) else expression.this
    if isinstance(target, exp.Schema):
        target = target.this
    return target if isinstance(target, exp.Table) else None


def full_name(table: exp.Table, database: str | None, schema: str | None) -> str:
    """Return `DATABASE.SCHEMA.TABLE` as Snowflake resolves it in a session."""
    return f"{_name(table.args.get('catalog')) or database}.{_name(table.args.get('db')) or schema}.{_name(table.this)}"


def _name(identifier: exp.Identifier | None) -> str:
    if identifier is None:
        return ""
    return identifier.name if identifier.args.get("quoted") else identifier.name.upper()
