"""Runs a command of the pipeline on the running stack: `python -m local.with_stack include.trace …`, for the Makefile.

A shell that has connections of its own, such as those of production, keeps exactly these: they are never mixed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from include.errors import SetupError
from local.endpoints_file import running_endpoints
from local.paths import PYTHON

_MARK = "AIRFLOW_CONN_"


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the shell's own variables if it has connections, else with those of the running stack."""
    if any(name.startswith(_MARK) for name in environ):
        return dict(environ)
    return {**environ, **running_endpoints(environ)}


def main(arguments: list[str]) -> None:
    """Become the command; exit status 1 when there is nothing that it could work on."""
    try:
        environ = environment(os.environ)
    except SetupError as error:
        sys.exit(f"{error} Or set the AIRFLOW_CONN_* variables of another installation.")
    os.execve(PYTHON, [str(PYTHON), "-m", *arguments], environ)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
