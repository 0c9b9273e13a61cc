"""Starts the Snowflake stand-in: `python -m local.snowflake`, settings from LOCAL_SNOWFLAKE_* and LOCAL_AZURE_*."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import warnings
from pathlib import Path
from types import FrameType

import uvicorn
from fakesnow.transforms.stage import LOCAL_BUCKET_PATH

from include.errors import SetupError
from local.snowflake.account import Account
from local.snowflake.lake import Lake
from local.snowflake.locks import TableLocks
from local.snowflake.results import keep_null_timestamps
from local.snowflake.server import create_app
from local.snowflake.settings import azure_settings, snowflake_settings


def main() -> int:
    """Serve until SIGTERM or SIGINT; 1 when the settings or the databases cannot be used."""
    # fakesnow asks DuckDB for Arrow tables in a way that DuckDB 2.0 warns about on every statement.
    warnings.filterwarnings("ignore", message="Arrow output on a DB-API result")
    keep_null_timestamps()
    try:
        settings = snowflake_settings(os.environ)
        lake = Lake(azure_settings(os.environ).connection_string)
        locks = TableLocks(settings.lock_seconds, settings.idle_abort_seconds)
        account = Account(Path(settings.dir).resolve(), locks, lake)
    except SetupError as error:
        print(f"Snowflake stand-in: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_shut_down)
    try:
        uvicorn.run(
            create_app(account),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            timeout_graceful_shutdown=5,
        )
    finally:
        # fakesnow makes a folder for stages of its own when it is imported.
        shutil.rmtree(LOCAL_BUCKET_PATH, ignore_errors=True)
    return 0


def _already_shut_down(_number: int, _frame: FrameType | None) -> None:
    """Uvicorn raises the signal again once it has shut down: this makes the exit status 0."""


if __name__ == "__main__":
    sys.exit(main())
