"""The stack on the command line: `python -m local up|stop|status|clean`, behind the Makefile's targets."""

from __future__ import annotations

import argparse
import sys

from include.errors import SetupError
from local import cli

_COMMANDS = {"up": cli.up, "stop": cli.stop, "status": cli.status, "clean": cli.clean}


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=_COMMANDS)
    try:
        return _COMMANDS[parser.parse_args(arguments).command]()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
