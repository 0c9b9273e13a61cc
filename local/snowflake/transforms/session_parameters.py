"""ALTER SESSION and USE: the parameters that a session may set, and what the stand-in does with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fakesnow.transforms import SUCCESS_NOP
from snowflake.connector.errors import ProgrammingError
from sqlglot import Expr, exp

from local.snowflake.transforms.account_objects import statement_text

if TYPE_CHECKING:
    from local.snowflake.session import Session

# What a session may set here: the only value that makes no difference to the stand-in, or None where none does.
PARAMETERS: dict[str, tuple[str, ...] | None] = {
    "QUERY_TAG": None,
    "STATEMENT_TIMEOUT_IN_SECONDS": None,
    "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": None,
    "LOCK_TIMEOUT": None,
    "CLIENT_SESSION_KEEP_ALIVE": None,
    "JSON_INDENT": None,
    "USE_CACHED_RESULT": None,
    "ABORT_DETACHED_QUERY": None,
    "WEEK_START": ("0", "1"),
    "TIMEZONE": ("UTC", "ETC/UTC"),
    "TIMESTAMP_TYPE_MAPPING": ("TIMESTAMP_NTZ",),
    "ERROR_ON_NONDETERMINISTIC_MERGE": ("TRUE",),
    "ERROR_ON_NONDETERMINISTIC_UPDATE": None,
    "TRANSACTION_ABORT_ON_ERROR": None,
    "TRANSACTION_DEFAULT_ISOLATION_LEVEL": ("READ COMMITTED",),
}
SETTING = re.compile(r"(\w+)\s*=\s*('(?:[^']|'')*'|[\w.+-]+)")
OWN = {"AUTOCOMMIT", "QUOTED_IDENTIFIERS_IGNORE_CASE"}  # fakesnow's


def alter_session(expression: Expr, session: Session) -> Expr:
    """Snowflake's ALTER SESSION SET name = value ...; a value that would change results is refused, not ignored."""
    text = expression.sql(dialect="snowflake") if isinstance(expression, exp.Alter) else statement_text(expression)
    words = text.upper().split()
    if words[:2] != ["ALTER", "SESSION"] or any(name in words for name in OWN):
        return expression
    if words[2] == "UNSET":
        return SUCCESS_NOP.copy()
    for name, value in SETTING.findall(text):
        set_parameter(session, name.upper(), value.strip("'"))
    return SUCCESS_NOP.copy()


def set_parameter(session: Session, name: str, value: str) -> None:
    """Set one session parameter; raises Snowflake's error for an unknown one and for a value the stand-in has not."""
    if name not in PARAMETERS:
        message = f"SQL compilation error:\ninvalid property '{name}' for 'SESSION'"
        raise ProgrammingError(msg=message, errno=1420, sqlstate="42601")
    allowed = PARAMETERS[name]
    if allowed is not None and value.upper() not in allowed:
        message = f"The stand-in knows {name} = {' or '.join(allowed)} only; asked for was {value}."
        raise ProgrammingError(msg=message, errno=9999, sqlstate="0A000")
    session.parameters[name] = value


def use_secondary_roles(expression: Expr, session: Session) -> Expr:
    """Snowflake's USE ROLE, WAREHOUSE and SECONDARY ROLES: remembered for CURRENT_ROLE() and CURRENT_WAREHOUSE()."""
    kind = str(expression.args.get("kind") or "").upper() if isinstance(expression, exp.Use) else ""
    if kind in {"ROLE", "WAREHOUSE"}:
        session.context[kind] = expression.this.name.upper()
    return SUCCESS_NOP.copy() if kind in {"ROLE", "WAREHOUSE", "SECONDARY ROLES"} else expression
