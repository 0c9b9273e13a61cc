"""DDL on what the stand-in does not have: warehouses, roles, users, grants, integrations. Accepted, without effect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fakesnow.dialect import parse_one
from fakesnow.transforms import SUCCESS_NOP
from sqlglot import Expr, exp

if TYPE_CHECKING:
    from local.snowflake.session import Session

KINDS = "WAREHOUSE|ROLE|USER|(STORAGE |NOTIFICATION |SECURITY |API )?INTEGRATION|RESOURCE MONITOR|NETWORK (POLICY|RULE)"
OBJECT = re.compile(rf"^(CREATE( OR REPLACE)?|ALTER|DROP|COMMENT( IF EXISTS)? ON) ({KINDS})\b", re.IGNORECASE)
GRANT = re.compile(r"^(GRANT|REVOKE)\b", re.IGNORECASE)
MANAGED = re.compile(r"\bWITH\s+MANAGED\s+ACCESS\b", re.IGNORECASE)


def accept(expression: Expr, _session: Session) -> Expr:
    """Snowflake manages compute and access with these statements; the stand-in has one computer and one user."""
    return SUCCESS_NOP.copy() if is_account_object(expression) else expression


def is_account_object(expression: Expr) -> bool:
    """Say whether a statement is about warehouses, roles, users, grants or integrations."""
    if isinstance(expression, exp.Grant | exp.Revoke):
        return True
    text = " ".join(statement_text(expression).split()[:6])
    return bool(OBJECT.match(text) or GRANT.match(text))


def managed_access(expression: Expr, _session: Session) -> Expr:
    """Snowflake's CREATE SCHEMA ... WITH MANAGED ACCESS lets the schema's owner alone grant: no effect here."""
    text = statement_text(expression)
    if text.upper().startswith("CREATE") and MANAGED.search(text):
        return parse_one(MANAGED.sub("", text))
    return expression


def drop_database(expression: Expr, session: Session) -> Expr:
    """Snowflake drops a database with everything in it; here its file is detached and then deleted (see ddl.py)."""
    if not (isinstance(expression, exp.Drop) and expression.args.get("kind") == "DATABASE"):
        return expression
    name = dropped_database(expression)
    exists = session.duck.execute("SELECT 1 FROM duckdb_databases() WHERE database_name = ?", [name]).fetchone()
    if not exists and expression.args.get("exists"):
        return SUCCESS_NOP.copy()
    session.duck.execute("USE memory")
    return exp.Command(this="DETACH", expression=exp.Literal.string(f'DATABASE "{name}"'))


def dropped_database(expression: exp.Drop) -> str:
    """Return the name of the database that a DROP DATABASE names."""
    identifier = expression.find(exp.Identifier)
    if identifier is None:
        return ""
    return identifier.name if identifier.args.get("quoted") else identifier.name.upper()


def statement_text(expression: Expr) -> str:
    """Return the text of a statement that sqlglot could not parse further, or the words that open it."""
    if isinstance(expression, exp.Command):
        rest = expression.args.get("expression")
        return f"{expression.this} {rest.name if isinstance(rest, Expr) else rest or ''}"
    if isinstance(expression, exp.Create | exp.Drop | exp.Alter):
        return f"{expression.key} {expression.args.get('kind')} "
    if isinstance(expression, exp.Comment):
        return f"COMMENT ON {expression.args.get('kind')} "
    return ""
