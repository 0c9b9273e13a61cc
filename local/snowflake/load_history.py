"""Remembers for 64 days which files COPY has loaded into which table, by path and ETag, as Snowflake does."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from local.snowflake.lake import Blob

CREATE_SQL = """
CREATE TABLE IF NOT EXISTS "{database}"._fs_information_schema._fs_loaded_files (
  schema_name VARCHAR, table_name VARCHAR, file VARCHAR, etag VARCHAR, loaded_at TIMESTAMPTZ)
"""
ETAGS_SQL = """
SELECT file, max_by(etag, loaded_at) FROM "{database}"._fs_information_schema._fs_loaded_files
WHERE schema_name = ? AND table_name = ? AND list_contains(?, file) AND loaded_at > now() - INTERVAL 64 DAYS
GROUP BY file
"""
REMEMBER_SQL = """
INSERT INTO "{database}"._fs_information_schema._fs_loaded_files
SELECT ?, ?, unnest(?), unnest(?), now()
"""
FORGET_SQL = """
DELETE FROM "{database}"._fs_information_schema._fs_loaded_files
WHERE schema_name = ? AND (table_name = ? OR ? IS NULL)
"""


def create(duck: duckdb.DuckDBPyConnection, database: str) -> None:
    """Create the history of `database` where it is missing."""
    duck.execute(CREATE_SQL.format(database=database))


class LoadHistory:
    """The load metadata of one table; gone when the table is truncated, dropped or created again."""

    def __init__(self, duck: duckdb.DuckDBPyConnection, database: str, schema: str, table: str | None) -> None:
        self._duck = duck
        self._database = database
        self._table = (schema, table)

    def etags(self, files: Sequence[str]) -> dict[str, str]:
        """Return the ETag under which each of `files` was loaded last; files never loaded are missing."""
        query = ETAGS_SQL.format(database=self._database)
        return dict(self._duck.execute(query, [*self._table, list(files)]).fetchall())

    def remember(self, blobs: Sequence[Blob]) -> None:
        """Add loaded files, in the transaction of the load."""
        if blobs:
            rows = [[blob.url for blob in blobs], [blob.etag for blob in blobs]]
            self._duck.execute(REMEMBER_SQL.format(database=self._database), [*self._table, *rows])

    def forget(self) -> None:
        """Delete the history: of the table, or of the whole schema where no table is given."""
        self._duck.execute(FORGET_SQL.format(database=self._database), [*self._table, self._table[1]])
