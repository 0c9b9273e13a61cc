"""Applies `include/sql/ddl` to the warehouse, repeatably: `python -m include.migrate [--dry-run]`."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Annotated, Any

import msgspec
import snowflake.connector
from msgspec import Meta
from snowflake.connector.util_text import split_statements

from include.connections import connection, snowflake_parameters
from include.contract.settings import load
from include.errors import PipelineError
from include.statements import ddl
from include.warehouse import Warehouse

log = logging.getLogger(__name__)


class MigrationSettings(msgspec.Struct, frozen=True):
    """Names of the account's objects."""

    lake_url: Annotated[
        str,
        Meta(pattern=r"^azure://[\w.-]+/[\w-]+/[^']*\Z", description="Lake as Snowflake names it, azure://…/lake/."),
    ]
    database: Annotated[str, Meta(pattern=r"^\w+\Z", description="Database of everything.")] = "ANALYTICS"
    warehouse: Annotated[str, Meta(pattern=r"^\w+\Z", description="Warehouse that loads run on.")] = "PIPELINE_WH"
    storage_integration: Annotated[
        str, Meta(pattern=r"^\w*\Z", description="Storage integration that may read the lake; empty on one machine.")
    ] = ""


def migrate(warehouse: Warehouse, settings: MigrationSettings) -> int:
    """Apply all statements in order, each of which may be applied again; returns their number."""
    count = 0
    for file, text in statements(settings):
        warehouse.run(text, doing=f"{file}: {text.splitlines()[0][:80]}")
        count += 1
    return count


def statements(settings: MigrationSettings) -> Iterator[tuple[str, str]]:
    """Yield (file, statement) with the account's names filled in."""
    access = f"STORAGE_INTEGRATION = {settings.storage_integration}" if settings.storage_integration else ""
    names = {
        "database": settings.database,
        "warehouse": settings.warehouse,
        "lake_url": settings.lake_url,
        "stage_access": access,
    }
    for file, text in ddl():
        for statement, _ in split_statements(io.StringIO(text.format_map(names)), remove_comments=True):
            if statement.strip().rstrip(";"):
                yield file, statement.strip().rstrip(";")


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Run the command; exit status 0 applied, 1 failed with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m include.migrate", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="print the statements and change nothing")
    options = parser.parse_args(arguments)
    try:
        settings = load(MigrationSettings, "MIGRATE_", environ)
        if options.dry_run:
            sys.stdout.writelines(f"-- {file}\n{text};\n\n" for file, text in statements(settings))
            return 0
        parameters: dict[str, Any] = snowflake_parameters(connection("warehouse", environ))
        # The database may not exist yet, so the session starts without one.
        parameters = {key: value for key, value in parameters.items() if key not in {"database", "schema", "role"}}
        with closing(snowflake.connector.connect(**parameters)) as opened:
            count = migrate(Warehouse(opened), settings)
    except (PipelineError, snowflake.connector.Error) as error:
        sys.stderr.write(f"migration failed: {error}\n")
        return 1
    sys.stdout.write(f"{count} statements applied to {settings.database}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], os.environ))
