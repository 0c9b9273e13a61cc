"""The command line of `python -m ingest_api.sources`: its commands, their options and what these may be."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import msgspec

from include.contract.source import PLATFORMS, Identifier, Limits

_DESCRIPTION = """Creates, rotates, disables and lists the sources that may send events, and the write keys of each.
A running API follows the file within two seconds. A key is shown once: the file has only its SHA-256."""
_EXIT = "Exit status: 0 done, 1 not done (the reason is on standard error), 2 wrong use, 130 interrupted."
_LONGEST_NAME = 100
_MOST_DIGITS = 12


def parser(default: Path) -> argparse.ArgumentParser:
    """Describe the command line; `options.command` is the chosen command."""
    top = argparse.ArgumentParser(
        prog="python -m ingest_api.sources", description=_DESCRIPTION, epilog=_EXIT, allow_abbrev=False
    )
    _add_file(top, default, default)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, sentence: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=sentence, description=sentence, epilog=_EXIT, allow_abbrev=False)
        # Suppressed: without the option, what stands before the command holds.
        _add_file(made, argparse.SUPPRESS, default)
        return made

    _add_key_commands(add)
    _add_state_commands(add)
    listing = add("list", "Show all sources; a key is shown by the first digits of its hash.")
    listing.add_argument("--json", action="store_true", help="as JSON")
    add("check", "Say everything that is wrong with the file; exit status 1 if anything is.")
    return top


def limits(options: argparse.Namespace) -> dict[str, int]:
    """Return the limits that were named."""
    given = {name: getattr(options, name) for name in Limits.__struct_fields__}
    return {name: value for name, value in given.items() if value is not None}


Add = Callable[[str, str], argparse.ArgumentParser]


def _add_key_commands(add: Add) -> None:
    create = add("create", "Add a source and show its write key.")
    _add_id(create)
    create.add_argument("--name", type=_name, required=True, help="what people call it")
    create.add_argument("--platform", choices=PLATFORMS, required=True, help="where it runs")
    _add_limits(create, least=1)
    rotate = add("rotate", "Add a second write key and show it; both are valid until `retire`.")
    _add_id(rotate)
    for made in (create, rotate):
        made.add_argument("--quiet", action="store_true", help="print the key and nothing else")
    retire = add("retire", "Drop the older of two write keys.")
    _add_id(retire)
    retire.add_argument("--key", default="", metavar="FINGERPRINT", help="drop this one instead; `list` shows both")


def _add_state_commands(add: Add) -> None:
    _add_id(add("disable", "Refuse what a source sends; its keys stay."))
    _add_id(add("enable", "Take what a source sends again."))
    limit = add("limit", "Change the limits of a source; those not named stay.")
    _add_id(limit)
    _add_limits(limit, least=0)


def _add_file(made: argparse.ArgumentParser, default: object, shown: Path) -> None:
    sentence = f"the sources file (default: INGEST_SOURCES_PATH, at the moment {shown})".replace("%", "%%")
    made.add_argument("--file", type=Path, default=default, help=sentence)


def _add_id(made: argparse.ArgumentParser) -> None:
    made.add_argument("id", type=_id, metavar="ID", help="the source's id")


def _add_limits(made: argparse.ArgumentParser, *, least: int) -> None:
    removes = "" if least else "; 0 removes the limit"
    for option, of in (("--events-per-second", "the source"), ("--device-events-per-second", "one of its devices")):
        made.add_argument(option, type=_number(least), metavar="N", help=f"most events of {of}{removes}")


def _id(text: str) -> str:
    try:
        return msgspec.convert(text, Identifier)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            "an id has 1 to 63 of a-z, 0-9, _ and -, and begins with a letter or digit"
        ) from error


def _name(text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(f"a name has 1 to {_LONGEST_NAME} printable characters")
    return text


def _number(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) < least:
            raise argparse.ArgumentTypeError(f"a whole number of at least {least} is needed")
        return int(text)

    return parse
