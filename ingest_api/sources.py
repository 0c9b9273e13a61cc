"""The operator's command for sources and their write keys: `python -m ingest_api.sources`, `--help` says more."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Mapping

from include.contract.source import fingerprint, hash_key
from include.contract.sources_file import edit
from include.errors import SetupError
from ingest_api import settings, source_changes, source_list, source_options
from ingest_api.source_changes import NewSource

_INTERRUPTED = 130
_ROTATE, _RETIRE = "`rotate {id}`", "`retire {id} --key {key}`"


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Run one command; returns the exit status."""
    options = source_options.parser(settings.sources_path(environ)).parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without a name's characters is no reason to end half-way.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _COMMANDS[options.command](options)
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; `list` shows whether anything was changed\n")
        return _INTERRUPTED


def _create(options: argparse.Namespace) -> int:
    new = NewSource(options.id, options.name, options.platform, source_options.limits(options))
    with edit(options.file) as entries:
        key = source_changes.create(entries, new)
    return _show_key(options, key, f"Source {options.id} is created.", _ROTATE, _RETIRE)


def _rotate(options: argparse.Namespace) -> int:
    with edit(options.file) as entries:
        key = source_changes.rotate(entries, options.id)
    done = f"Source {options.id} has two valid keys; `retire` the older one once it is out of use."
    return _show_key(options, key, done, _RETIRE, _ROTATE)


def _retire(options: argparse.Namespace) -> int:
    with edit(options.file) as entries:
        dropped = source_changes.retire(entries, options.id, options.key)
    return _say(f"Key {dropped} of source {options.id} is not valid any more.")


def _enable(options: argparse.Namespace) -> int:
    return _switch(options, enabled=True)


def _disable(options: argparse.Namespace) -> int:
    return _switch(options, enabled=False)


def _switch(options: argparse.Namespace, *, enabled: bool) -> int:
    with edit(options.file) as entries:
        changed = source_changes.switch(entries, options.id, enabled=enabled)
    state = "enabled" if enabled else "disabled"
    return _say(f"Source {options.id} is {state}." if changed else f"Source {options.id} was {state} already.")


def _limit(options: argparse.Namespace) -> int:
    wanted = source_options.limits(options)
    if not wanted:
        raise SetupError("nothing to change: name at least one limit, `limit --help` lists them")
    with edit(options.file) as entries:
        limits = source_changes.limit(entries, options.id, wanted)
    return _say(f"Limits of source {options.id}: {source_list.limits_text(limits)}.")


def _list(options: argparse.Namespace) -> int:
    text, problems = source_list.listed(options.file, as_json=options.json)
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return _say(text)


def _check(options: argparse.Namespace) -> int:
    problems = source_list.problems(options.file)
    _say("\n".join(problems) or f"{options.file}: no problem")
    return 1 if problems else 0


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "create": _create,
    "rotate": _rotate,
    "retire": _retire,
    "disable": _disable,
    "enable": _enable,
    "limit": _limit,
    "list": _list,
    "check": _check,
}


def _show_key(options: argparse.Namespace, key: str, done: str, *if_lost: str) -> int:
    try:
        if not options.quiet:
            _say(f"{done} Its new write key, shown only now:")
        return _say(key)
    except SetupError as error:
        steps = [step.format(id=options.id, key=fingerprint(hash_key(key))) for step in if_lost]
        raise SetupError(f"{done} But its new key is lost: {error}. For another: {', then '.join(steps)}") from error


def _say(text: str) -> int:
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail again, with a traceback, when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SetupError(f"the answer could not be written ({error.strerror})") from error
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
