"""`make sql`: a prompt on the warehouse stand-in, or one query, through the ordinary Snowflake connector."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import readline
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from snowflake.connector.errors import Error
from snowflake.connector.util_text import split_statements

from include.errors import SetupError
from local import clients
from local.endpoints_file import running_endpoints

_PROMPT, _MORE = "sql> ", "...> "
_HISTORY_LINES = 1_000
_LONG_VALUE = 40
_BORDER = 3
_WELCOME = (
    "Database ANALYTICS; tables CORE.EVENTS, CORE.FAILED_EVENTS, CONTROL.LOADS, PUBLISH.PUBLICATIONS …\n"
    "End a statement with ; and the prompt with quit or Ctrl-D."
)


def main(arguments: list[str]) -> int:
    """Run the query, or prompt until Ctrl-D; 1 when the query or the connection failed."""
    options = _options(arguments)
    try:
        status = _run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it, such as `head`, has enough; nor may the interpreter fail when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _run(options: argparse.Namespace) -> int:
    try:
        endpoints = running_endpoints()
        with closing(clients.warehouse(endpoints)) as connection:
            prompt = Prompt(connection, options.limit, as_csv=options.csv)
            if options.query or not sys.stdin.isatty():
                texts = statements(options.query or sys.stdin.read())
                return 0 if all(prompt.run(text) for text in texts) else 1
            prompt.talk(Path(endpoints["LOCAL_STATE_DIR"]) / "sql_history")
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except Error as error:
        print(f"The warehouse stand-in does not answer: {error}", file=sys.stderr)
        return 1
    return 0


class _Pipe(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `main`; the console itself would end the program as a failure."""
        raise BrokenPipeError


class Prompt:
    """Runs statements of one connection and prints what they give."""

    def __init__(self, connection: Any, limit: int, *, as_csv: bool) -> None:  # noqa: ANN401 - untyped connector
        self._connection, self._limit, self._as_csv = connection, limit, as_csv
        self._console = _Pipe(width=None if sys.stdout.isatty() else 200)

    def talk(self, history: Path) -> None:
        """Read statements from the terminal until Ctrl-D; Ctrl-C drops the one that is being typed."""
        with contextlib.suppress(OSError):
            readline.read_history_file(history)
        readline.set_history_length(_HISTORY_LINES)
        print(_WELCOME)
        try:
            while True:
                with contextlib.suppress(KeyboardInterrupt):
                    for typed in _typed():
                        for text in statements(typed):
                            self.run(text)
                    return
                print()
        finally:
            with contextlib.suppress(OSError):
                readline.write_history_file(history)

    def run(self, text: str) -> bool:
        """Run one statement and print its rows; False when the warehouse refused it."""
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(text)
                names = [column.name for column in cursor.description or ()]
                # One more than is shown tells whether there are more.
                rows = cursor.fetchmany(self._limit + 1) if self._limit else cursor.fetchall()
        except Error as error:
            print(error.raw_msg or error.msg or error, file=sys.stderr)
            return False
        shown = rows[: self._limit] if self._limit else rows
        if self._as_csv:
            _write_csv(names, shown)
        else:
            self._console.print(*_tables(names, shown, self._console.width), sep="\n")
        if len(rows) > len(shown):
            print(f"Only the first {self._limit:,} rows are shown; --limit 0 shows all.", file=sys.stderr)
        elif not self._as_csv:
            print(f"{len(shown):,} row{'' if len(shown) == 1 else 's'}")
        return True


def statements(text: str) -> Iterator[str]:
    """Yield each statement of a text, cut as Snowflake's own connector cuts scripts."""
    for one, _ in split_statements(io.StringIO(text)):
        if statement := (one or "").strip().rstrip(";").strip():
            yield statement


def _typed() -> Iterator[str]:
    """Yield what was typed up to a line that ends with a semicolon; the prompt shows whether a statement goes on."""
    pending: list[str] = []
    while True:
        try:
            line = input(_MORE if pending else _PROMPT)
        except EOFError:
            print()
            return
        word = line.strip().rstrip(";").lower()
        if not pending and word in {"quit", "exit"}:
            return
        if not pending and word == "help":
            print(_WELCOME)
        elif line.strip() or pending:
            pending.append(line)
        if line.rstrip().endswith(";"):
            yield "\n".join(pending)
            pending.clear()


def _tables(names: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> Sequence[Table | Text]:
    """Return one table, or one per row where the columns would not fit beside each other."""
    if not rows:
        return [Text(", ".join(names), style="bold")] if names else []
    needed = sum(_column_width(name, [row[at] for row in rows]) for at, name in enumerate(names))
    if needed <= width:
        table = Table()
        for name in names:
            table.add_column(Text(name), overflow="fold")
        for row in rows:
            table.add_row(*map(_cell, row))
        return [table]
    return [_record(names, row, number) for number, row in enumerate(rows, start=1)]


def _column_width(name: str, values: Iterable[object]) -> int:
    longest = max(len(_text(value)) for value in (name, *values))
    return min(longest, _LONG_VALUE) + _BORDER


def _record(names: Sequence[str], row: Sequence[object], number: int) -> Table:
    table = Table(title=f"row {number}", title_justify="left", show_header=False)
    for name, value in zip(names, row, strict=True):
        table.add_row(Text(name, style="bold"), _cell(value))
    return table


def _cell(value: object) -> Text:
    return Text("NULL", style="dim") if value is None else Text(_text(value))


def _text(value: object) -> str:
    """Return a value as people read it; bytes that are text, such as a failed event's, as that text."""
    if isinstance(value, bytes | bytearray):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return str(value)


def _write_csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(names)
    writer.writerows([None if value is None else _text(value) for value in row] for row in rows)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.sql", description=__doc__)
    parser.add_argument("query", nargs="?", default="", help="one statement; without it a prompt, or standard input")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="most rows shown (default: 100; 0: all)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
