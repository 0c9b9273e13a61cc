"""COPY INTO and LIST on `azure://` stages, for the stand-in's cursor; other stages are left to fakesnow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fakesnow.transforms.file_format import lookup_file_format
from fakesnow.transforms.stage import not_found_error, parts_from_var
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp

from local.snowflake.copy_into import Target, copy_parquet, show_results
from local.snowflake.copy_options import CopyOptions, copy_options
from local.snowflake.lake import Place, place_of
from local.snowflake.statements import full_name, written_table

if TYPE_CHECKING:
    from local.snowflake.session import Session

STAGE_SQL = """
SELECT url FROM _fs_global._fs_information_schema._fs_stages
WHERE database_name = ? AND schema_name = ? AND name = ?
"""
LIST_SQL = """
SELECT unnest($1::VARCHAR[]) AS "name", unnest($2::BIGINT[]) AS "size", unnest($3::VARCHAR[]) AS "md5",
  unnest($4::VARCHAR[]) AS "last_modified"
"""


def run_copy(session: Session, statement: exp.Copy) -> bool:
    """Run a COPY from an `azure://` stage and leave its answer on the connection; False when it is none of ours."""
    source = statement.args["files"][0].this
    place = _place(session, source.name) if isinstance(source, exp.Var) else None
    table = written_table(statement)
    if place is None or table is None:
        return False
    options = copy_options(
        statement, lambda name: lookup_file_format(session.duck, name, session.database, session.schema)
    )
    _check(options)
    target = Target(*full_name(table, session.database, session.schema).split("."))
    scratch = Path(session.db_path or ".")
    with session.transaction.atomic():
        results = copy_parquet(session.duck, session.lake, place, target, options, scratch)
    show_results(session.duck, results)
    return True


def run_list(session: Session, statement: exp.ListStage) -> bool:
    """Run LIST on an `azure://` stage and leave its answer on the connection; False when it is none of ours."""
    place = _place(session, statement.this.name.strip("'"))
    if place is None:
        return False
    blobs = list(session.lake.names(place))
    columns = [[b.url for b in blobs], [b.size for b in blobs], [b.md5 for b in blobs], [b.modified for b in blobs]]
    session.duck.execute(LIST_SQL, columns)
    return True


def _place(session: Session, reference: str) -> Place | None:
    """Resolve `@database.schema.stage/path`; None for a stage that is not on Azure."""
    stage, _, path = reference.removeprefix("@").partition("/")
    parts = parts_from_var(stage, session.database, session.schema)
    found = session.duck.execute(STAGE_SQL, list(parts)).fetchone()
    if found is None:
        if parts[2].startswith("%"):
            return None  # a table's own stage: fakesnow's
        raise not_found_error(".".join(parts))
    url = str(found[0] or "")
    return place_of(f"{url.rstrip('/')}/{path}") if url.startswith("azure://") else None


def _check(options: CopyOptions) -> None:
    if options.file_type != "PARQUET" or options.match_by_column_name == "NONE":
        raise ProgrammingError(
            msg="The stand-in loads from azure:// stages TYPE = PARQUET with MATCH_BY_COLUMN_NAME only; "
            f"asked for were TYPE = {options.file_type} and MATCH_BY_COLUMN_NAME = {options.match_by_column_name}.",
            errno=9999,
            sqlstate="0A000",
        )
