"""When each table was created, for INFORMATION_SCHEMA.TABLES, where fakesnow has 1970 for all."""

from __future__ import annotations

import duckdb
from fakesnow import info_schema

CREATE_SQL = """
CREATE TABLE IF NOT EXISTS "{database}"._fs_information_schema._fs_created (
  schema_name VARCHAR, table_name VARCHAR, created TIMESTAMPTZ)
"""
FORGET_SQL = 'DELETE FROM "{database}"._fs_information_schema._fs_created WHERE schema_name = ? AND table_name = ?'
REMEMBER_SQL = 'INSERT INTO "{database}"._fs_information_schema._fs_created VALUES (?, ?, now())'
COLUMN = 'to_timestamp(0)::timestamptz AS "CREATED"'
LOOKUP = """
COALESCE((SELECT max(c.created) FROM "{database}"._fs_information_schema._fs_created c
  WHERE c.schema_name = tables.schema_name AND c.table_name = tables.table_name), to_timestamp(0)) AS "CREATED"
"""


def create(duck: duckdb.DuckDBPyConnection, database: str) -> None:
    """Create what is missing in `database`, and put the times into its INFORMATION_SCHEMA.TABLES."""
    duck.execute(CREATE_SQL.format(database=database))
    view = info_schema.SQL_CREATE_INFORMATION_SCHEMA_TABLES_VIEW.substitute(catalog=database)
    view = view.replace("create view if not exists", "create or replace view")
    duck.execute(view.replace(COLUMN, LOOKUP.format(database=database)))


def remember(duck: duckdb.DuckDBPyConnection, database: str, schema: str, table: str) -> None:
    """Note that a table was created now."""
    duck.execute(FORGET_SQL.format(database=database), [schema, table])
    duck.execute(REMEMBER_SQL.format(database=database), [schema, table])
