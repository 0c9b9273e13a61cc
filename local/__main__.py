"""The stack on the command line: `python -m local up|stop|status|clean`, behind the Makefile's targets."""

from __future__ import annotations

import argparse
import sys

from include.errors import SetupError
from local import cli

_COMMANDS = {"up": cli.up, "stop": cli.stop, "status": cli.status}


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in _COMMANDS.items():
        commands.add_parser(name, help=command.__doc__).set_defaults(run=command)
    clean = commands.add_parser("clean", help=cli.clean.__doc__)
    clean.add_argument("--outside", action="store_true", help="also where the state is not in this clone")
    options = parser.parse_args(arguments)
    try:
        return cli.clean(outside=options.outside) if options.command == "clean" else int(options.run())
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
