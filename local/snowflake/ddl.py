"""What Snowflake does beside the DDL statement itself: PUBLIC in new databases, column comments, load metadata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from sqlglot import Expr, exp

from local.snowflake import creation_times, load_history
from local.snowflake.load_history import LoadHistory
from local.snowflake.statements import full_name
from local.snowflake.transforms.account_objects import dropped_database
from local.snowflake.transforms.comments import column_comments
from local.snowflake.transforms.tables import table_exists

if TYPE_CHECKING:
    from local.snowflake.session import Session

DEFAULT_SCHEMA = "PUBLIC"


def creates_nothing(session: Session, statement: Expr) -> bool:
    """Say whether `statement` is a CREATE TABLE IF NOT EXISTS of a table that exists."""
    if not (isinstance(statement, exp.Create) and _kind(statement) == "TABLE" and statement.args.get("exists")):
        return False
    table = statement.find(exp.Table)
    return table is not None and table_exists(session, table)


def after(session: Session, statement: Expr) -> None:
    """Do what follows from `statement`, which has just succeeded."""
    kind = _kind(statement)
    if isinstance(statement, exp.TruncateTable):
        _forget(session, statement.expressions[0])
    elif isinstance(statement, exp.Create) and kind == "TABLE":
        _created(session, statement.find(exp.Table))
        for comment in column_comments(statement):
            session.duck.execute(comment)
    elif isinstance(statement, exp.Create) and kind == "DATABASE":
        _after_create_database(session, statement.find(exp.Identifier))
    elif isinstance(statement, exp.Drop):
        _after_drop(session, statement, kind)


def _kind(statement: Expr) -> str:
    return str(statement.args.get("kind") or "").upper()


def complete_database(duck: duckdb.DuckDBPyConnection, database: str) -> None:
    """Give a database what fakesnow does not: its schema PUBLIC, load metadata and creation times."""
    duck.execute(f'CREATE SCHEMA IF NOT EXISTS "{database}"."{DEFAULT_SCHEMA}"')
    load_history.create(duck, database)
    creation_times.create(duck, database)


def _after_create_database(session: Session, name: exp.Identifier | None) -> None:
    if name is not None:
        database = name.name if name.args.get("quoted") else name.name.upper()
        complete_database(session.duck, database)


def _after_drop(session: Session, statement: exp.Drop, kind: str) -> None:
    table = statement.find(exp.Table)
    if table is None:
        return
    if kind == "TABLE":
        _forget(session, table)
    elif kind == "SCHEMA":
        database, schema, _ = full_name(table, session.database, session.schema).split(".")
        LoadHistory(session.duck, database, schema, None).forget()
    elif kind == "DATABASE" and session.db_path:
        for suffix in (".db", ".db.wal"):
            Path(session.db_path, dropped_database(statement) + suffix).unlink(missing_ok=True)


def _created(session: Session, table: exp.Table | None) -> None:
    if table is not None:
        _forget(session, table)
        creation_times.remember(session.duck, *full_name(table, session.database, session.schema).split("."))


def _forget(session: Session, table: exp.Table | None) -> None:
    if table is not None:
        database, schema, name = full_name(table, session.database, session.schema).split(".")
        LoadHistory(session.duck, database, schema, name).forget()
