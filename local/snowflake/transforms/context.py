"""Functions that say who, where and when a session is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import Expr, exp

if TYPE_CHECKING:
    from local.snowflake.session import Session

NAMES: dict[type[Expr], str] = {
    exp.CurrentWarehouse: "WAREHOUSE",
    exp.CurrentRole: "ROLE",
    exp.CurrentUser: "USER",
    exp.CurrentAccount: "ACCOUNT",
    exp.CurrentSession: "SESSION",
}


def current(expression: Expr, session: Session) -> Expr:
    """Snowflake's CURRENT_WAREHOUSE(), CURRENT_ROLE(), CURRENT_USER(), CURRENT_ACCOUNT() and CURRENT_SESSION()."""
    value = session.context.get(NAMES[type(expression)])
    return exp.Literal.string(value) if value else exp.null()


def current_time(expression: Expr, session: Session) -> Expr:
    """Snowflake's SYSDATE() and CURRENT_TIMESTAMP() are the time of the statement; DuckDB's that of the transaction."""
    if expression.find_ancestor(exp.Create, exp.Alter):
        return expression  # a column's default or a view: evaluated later
    is_sysdate = bool(expression.args.get("sysdate"))
    time: Expr = exp.Anonymous(this="make_timestamp", expressions=[exp.Literal.number(session.statement_micros)])
    if not is_sysdate:
        time = exp.AtTimeZone(this=time, zone=exp.Literal.string("UTC"))
    if isinstance(expression.parent, exp.Select):
        return exp.alias_(time, "SYSDATE()" if is_sysdate else "CURRENT_TIMESTAMP()", quoted=True)
    return time
