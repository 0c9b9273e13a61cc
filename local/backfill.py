"""`make backfill`: the backfill command on the running stack, with FROM, TO, MODE, REASON, … as make has them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from include.backfill.command import main as command
from include.errors import SetupError
from local.endpoints_file import running_endpoints

_OPTIONS = {"FROM": "--from", "TO": "--to", "MODE": "--mode", "REASON": "--reason"}
_FLAGS = {"PUBLISH": "--publish", "OCCURRED": "--occurred", "RESUME": "--resume"}
_NO = {"", "0", "false", "no"}


def arguments(given: list[str], environ: Mapping[str, str]) -> list[str]:
    """Return the command's arguments: what make's variables say, then what was given as such."""
    options = [word for name, option in _OPTIONS.items() if (text := environ.get(name)) for word in (option, text)]
    flags = [flag for name, flag in _FLAGS.items() if environ.get(name, "").lower() not in _NO]
    return [*options, *flags, *given]


def main(given: list[str], environ: Mapping[str, str]) -> int:
    """Run the command against the running stack; 2 when there is none."""
    try:
        endpoints = running_endpoints(environ)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    there = {**environ, **endpoints, "BACKFILL_AIRFLOW_URL": endpoints["LOCAL_URL_AIRFLOW"]}
    return command(arguments(given, environ), there)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
