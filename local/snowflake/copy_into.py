"""COPY INTO a table from Parquet files of an `azure://` stage, with Snowflake's load history and result rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from snowflake.connector.errors import ProgrammingError

from local.snowflake.copy_options import CopyOptions
from local.snowflake.lake import Blob, Lake, Place
from local.snowflake.load_history import LoadHistory

RESULT_SQL = """
SELECT unnest($1::VARCHAR[]) AS "file", unnest($2::VARCHAR[]) AS "status", unnest($3::BIGINT[]) AS "rows_parsed",
  unnest($4::BIGINT[]) AS "rows_loaded", 1::BIGINT AS "error_limit", unnest($5::BIGINT[]) AS "errors_seen",
  unnest($6::VARCHAR[]) AS "first_error", NULL::BIGINT AS "first_error_line",
  NULL::BIGINT AS "first_error_character", NULL::VARCHAR AS "first_error_column_name"
"""
NOTHING_SQL = "SELECT 'Copy executed with 0 files processed.' AS \"status\""
SCRATCH_PREFIX = "copy-"
SKIPPED = "File was loaded before."


class Target(NamedTuple):
    """The table that a COPY fills."""

    database: str
    schema: str
    table: str

    @property
    def sql(self) -> str:
        """Return the quoted name."""
        return ".".join(quoted(part) for part in self)


class FileResult(NamedTuple):
    """What COPY answers about one file."""

    blob: Blob
    rows: int
    skipped: bool = False


def quoted(name: str) -> str:
    """Return `name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def copy_parquet(
    duck: duckdb.DuckDBPyConnection, lake: Lake, place: Place, target: Target, options: CopyOptions, scratch: Path
) -> list[FileResult]:
    """Load the files that were not loaded before, and return one result per file in the order asked for.

    The caller's transaction makes it all or nothing.
    """
    history = LoadHistory(duck, *target)
    names = options.files or [blob.name for blob in lake.names(place, options.pattern)]
    skipped = [] if options.force else _known(lake, place, names, history)
    wanted = [name for name in names if name not in {result.blob.name for result in skipped}]
    with TemporaryDirectory(dir=scratch, prefix=SCRATCH_PREFIX) as folder:
        fetched = lake.download(place, wanted, Path(folder))
        loaded = _insert_all(duck, target, fetched, options)
        history.remember([result.blob for result in loaded])
    by_name = {result.blob.name: result for result in (*skipped, *loaded)}
    return [by_name[name] for name in names]


def show_results(duck: duckdb.DuckDBPyConnection, results: Sequence[FileResult]) -> None:
    """Leave COPY's answer as the connection's result."""
    if not results:
        duck.execute(NOTHING_SQL)
        return
    columns: list[list[Any]] = [
        [r.blob.url for r in results],
        ["LOAD_SKIPPED" if r.skipped else "LOADED" for r in results],
        [r.rows for r in results],
        [r.rows for r in results],
        [int(r.skipped) for r in results],
        [SKIPPED if r.skipped else None for r in results],
    ]
    duck.execute(RESULT_SQL, columns)


def _known(lake: Lake, place: Place, names: Sequence[str], history: LoadHistory) -> list[FileResult]:
    etags = history.etags([place.url + name for name in names])
    blobs = lake.heads(place, [name for name in names if place.url + name in etags])
    return [FileResult(blob, 0, skipped=True) for blob in blobs if etags[blob.url] == blob.etag]


def _insert_all(
    duck: duckdb.DuckDBPyConnection, target: Target, fetched: Sequence[tuple[Blob, Path]], options: CopyOptions
) -> list[FileResult]:
    columns = _columns(duck, target)
    groups: dict[str, tuple[pa.Schema, list[str]]] = {}
    results = []
    for blob, path in fetched:
        metadata = _metadata(blob, path)
        schema = metadata.schema.to_arrow_schema().remove_metadata()
        groups.setdefault(str(schema), (schema, []))[1].append(str(path))
        results.append(FileResult(blob, metadata.num_rows))
    with _uncompressed(duck):
        for schema, paths in groups.values():
            duck.execute(_insert_sql(target, columns, schema, options), [paths])
    return results


@contextmanager
def _uncompressed(duck: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Write rows as they are: a landing table lives for seconds, and compressing it takes a third of COPY's time."""
    settings = duck.cursor()  # not in the transaction, which may be aborted by then
    settings.execute("SET GLOBAL force_compression = 'uncompressed'")
    try:
        yield
    finally:
        settings.execute("SET GLOBAL force_compression = 'auto'")
        settings.close()


def _metadata(blob: Blob, path: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(path)
    except pa.ArrowInvalid as error:
        raise ProgrammingError(
            msg=f"Error parsing the parquet file '{blob.url}': {error}", errno=100082, sqlstate="22000"
        ) from error


def _columns(duck: duckdb.DuckDBPyConnection, target: Target) -> list[tuple[str, str]]:
    query = "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = ? AND schema_name = ?"
    found = duck.execute(f"{query} AND table_name = ? ORDER BY column_index", list(target)).fetchall()
    if not found:
        name = ".".join(target)
        message = f"SQL compilation error:\nTable '{name}' does not exist or not authorized."
        raise ProgrammingError(msg=message, errno=2003, sqlstate="42S02")
    return [(str(name), str(kind)) for name, kind in found]


def _insert_sql(target: Target, columns: Sequence[tuple[str, str]], schema: pa.Schema, options: CopyOptions) -> str:
    """Match columns by name: as in Snowflake one that the file lacks is NULL, and the file's others are ignored."""
    fold = str if options.case_sensitive else str.upper
    found = {fold(name): name for name in schema.names}
    values = [_value(kind, found.get(fold(name)), schema) for name, kind in columns]
    names = ", ".join(quoted(name) for name, _ in columns)
    return f"INSERT INTO {target.sql} ({names}) SELECT {', '.join(values)} FROM read_parquet(?)"  # noqa: S608


def _value(kind: str, source: str | None, schema: pa.Schema) -> str:
    if source is None:
        return "NULL"
    if kind != "JSON":
        return quoted(source)
    # Snowflake: text in a Parquet string column becomes a VARIANT *string*, only nested columns become objects.
    is_text = pa.types.is_string(schema.field(source).type) or pa.types.is_large_string(schema.field(source).type)
    return f"to_json({quoted(source)}::VARCHAR)" if is_text else f"to_json({quoted(source)})"
