"""The account behind the stand-in: databases as files in one folder, attached once and shared by every session."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
from fakesnow import info_schema, macros
from fakesnow.instance import GLOBAL_DATABASE_NAME, FakeSnow
from fakesnow.transforms import show

from include.errors import SetupError
from local.snowflake.copy_into import SCRATCH_PREFIX
from local.snowflake.ddl import complete_database
from local.snowflake.lake import Lake
from local.snowflake.locks import TableLocks
from local.snowflake.session import Session

DEFAULT_DATABASE = "ANALYTICS"
MACROS = Path(__file__).parent / "sql" / "macros.sql"
MEMORY_LIMIT = "4GB"
REMEMBERED_RESULTS = 16


class RecentResults(dict[str, tuple[Any, ...]]):
    """The latest results by query id, for RESULT_SCAN; fakesnow keeps every result there was."""

    def __setitem__(self, key: str, value: tuple[Any, ...]) -> None:
        """Remember one more, forget the oldest."""
        super().__setitem__(key, value)
        while len(self) > REMEMBERED_RESULTS:
            self.pop(next(iter(self)), None)


class Account(FakeSnow):
    """fakesnow's instance with its databases, and the global one that knows stages and comments, on disk."""

    def __init__(self, folder: Path, locks: TableLocks, lake: Lake) -> None:
        super().__init__(create_database_on_connect=False, create_schema_on_connect=False, db_path=folder)
        self.results_cache = RecentResults()
        self._locks = locks
        self._lake = lake
        folder.mkdir(parents=True, exist_ok=True)
        self.duck_conn.execute(f"SET GLOBAL memory_limit = '{MEMORY_LIMIT}'")
        self.duck_conn.execute(f"SET GLOBAL temp_directory = '{folder / 'spill'}'")
        self._persist_globals(folder)  # from here on the folder is ours alone
        for left_behind in folder.glob(f"{SCRATCH_PREFIX}*"):
            shutil.rmtree(left_behind)  # by a COPY that was killed
        for name in sorted({file.stem for file in folder.glob("*.db")} - {GLOBAL_DATABASE_NAME} | {DEFAULT_DATABASE}):
            self._open(folder / f"{name}.db")

    def _persist_globals(self, folder: Path) -> None:
        self.duck_conn.execute(f"DETACH {GLOBAL_DATABASE_NAME}")
        self._attach(folder / f"{GLOBAL_DATABASE_NAME}.db")
        self.duck_conn.execute(info_schema.fs_global_creation_sql())
        self.duck_conn.execute(show.fs_global_creation_sql())
        self.duck_conn.execute(MACROS.read_text())

    def _attach(self, file: Path) -> None:
        try:
            self.duck_conn.execute(f"ATTACH '{file}' AS \"{file.stem}\"")
        except duckdb.IOException as error:
            message = f"cannot open {file}: {error}. Is another stand-in running on this folder? Stop it first."
            raise SetupError(message) from error

    def _open(self, file: Path) -> None:
        """Attach a database, new or not; what a kill left unfinished when it was created is made up for."""
        self._attach(file)
        self.duck_conn.execute(info_schema.per_db_creation_sql(file.stem))
        self.duck_conn.execute(macros.creation_sql(file.stem))
        complete_database(self.duck_conn, file.stem)

    def connect(
        self,
        database: str | None = None,
        schema: str | None = None,
        nop_regexes: list[str] | None = None,  # noqa: ARG002 -- fakesnow's signature
        *,
        autocommit: bool = True,
        **_: object,
    ) -> Session:
        """Open a session."""
        return Session(
            self.duck_conn.cursor(),
            self.results_cache,
            database,
            schema,
            db_path=self.db_path,
            autocommit=autocommit,
            locks=self._locks,
            lake=self._lake,
        )

    def close(self) -> None:
        """Write the databases' logs into their files and close them."""
        self.duck_conn.close()
