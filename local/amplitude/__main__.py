"""Runs the Amplitude stand-in on 127.0.0.1: `python -m local.amplitude`, settings from `LOCAL_AMPLITUDE_*`."""

from __future__ import annotations

import logging
import os
import sys

import uvicorn

from include.errors import SetupError
from local.amplitude.app import create_app
from local.amplitude.settings import amplitude_settings

STOP_SECONDS = 5


def main() -> int:
    """Serve until a signal ends the process; return its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The connector logs every attempt at length; the importer says once what failed.
    for name in ("snowflake.connector", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.CRITICAL if name.startswith("snowflake") else logging.WARNING)
    try:
        settings = amplitude_settings(os.environ)
    except SetupError as error:
        print(f"local.amplitude: {error}", file=sys.stderr)
        return 2
    logging.getLogger("local.amplitude").info("listening on http://%s:%d", settings.host, settings.port)
    config = uvicorn.Config(
        create_app(settings), host=settings.host, port=settings.port, access_log=False, log_config=None,
        timeout_graceful_shutdown=STOP_SECONDS,
    )  # fmt: skip
    uvicorn.Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
