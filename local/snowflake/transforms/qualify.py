"""QUALIFY on a wide table, computed over the columns it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import Expr, exp

from local.snowflake.transforms.tables import is_base_table

if TYPE_CHECKING:
    from local.snowflake.session import Session

ROW_ID = "ROWID"
ELSEWHERE = ("joins", "laterals", "group", "having", "distinct", "windows", "sample", "with_", "order", "limit")


def narrow_qualify(expression: Expr, session: Session) -> Expr:
    """Snowflake is columnar to the end; DuckDB sorts whole rows for a window, so it first finds the rows to keep."""
    qualify, source = expression.args.get("qualify"), expression.args.get("from_")
    if qualify is None or source is None or any(expression.args.get(part) for part in ELSEWHERE):
        return expression
    table = source.this
    if not (isinstance(table, exp.Table) and is_base_table(session, table)) or _uses_alias(expression, qualify):
        return expression
    kept = exp.select(exp.column(ROW_ID)).from_(table.copy())
    for part in ("where", "qualify"):
        kept.set(part, expression.args[part].copy() if expression.args.get(part) else None)
        expression.set(part, None)
    expression.set("where", exp.Where(this=exp.In(this=exp.column(ROW_ID), query=exp.Subquery(this=kept))))
    return expression


def _uses_alias(select: Expr, qualify: Expr) -> bool:
    """Say whether QUALIFY names something that the SELECT computes; a column of the same name would hide it."""
    computed = {item.alias.upper() for item in select.expressions if isinstance(item, exp.Alias)}
    return any(column.name.upper() in computed for column in qualify.find_all(exp.Column))
