"""Turns DuckDB's errors into the numbers and states a Snowflake client knows, for every statement of the stand-in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import duckdb
from snowflake.connector.errors import Error, ProgrammingError

# Numbers and states as Snowflake reports them.
LOCKED = (625, "57014")
DUPLICATE_ROW = (100090, "42P18")
INTERNAL = (603, "XX000")
# Snowflake keeps a transaction open after a failed statement; DuckDB cannot, so the stand-in refuses everything but
# ROLLBACK. The state is the one PostgreSQL uses for that; the number is Snowflake's for an aborted transaction scope.
ABORTED = (90232, "25P02")


class Rule(NamedTuple):
    """One row of the table below: which DuckDB message means which Snowflake error."""

    pattern: re.Pattern[str]
    errno: int
    sqlstate: str
    prefix: str = ""


def _rule(pattern: str, error: tuple[int, str], prefix: str = "") -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), *error, prefix)


_COMPILATION = "SQL compilation error:\n"
RULES = (
    _rule("merge into command cannot affect", DUPLICATE_ROW, "Duplicate row detected during DML action\n"),
    _rule("conflict on|write-write conflict|catalog write-write", LOCKED),
    _rule("transaction is aborted", ABORTED),
    _rule("not null constraint failed", (100072, "22000"), "NULL result in a non-nullable column\n"),
    _rule("check constraint failed.*length\\(", (100078, "22000"), "String is too long and would be truncated\n"),
    _rule("malformed json", (100069, "22P02"), "Error parsing JSON\n"),
    _rule("referenced (column|table) .* not found|does not have a column", (904, "42000"), _COMPILATION),
    _rule("already exists", (2002, "42710"), _COMPILATION),
    _rule("does not exist|no function matches", (2003, "42S02"), _COMPILATION),
    _rule("^parser error", (1003, "42000"), _COMPILATION),
    _rule("^binder error", (2043, "02000"), _COMPILATION),
    _rule("could not (parse|convert).*(timestamp|date)|invalid (timestamp|date)", (100035, "22007")),
    _rule("^conversion error", (100038, "22018")),
    _rule("^out of range error|overflow", (100046, "22003")),
    _rule("division by zero", (100051, "22012")),
    _rule("^interrupt error", (604, "57014"), "SQL execution canceled\n"),
)


def error_for(cause: Exception) -> ProgrammingError:
    """Return the Snowflake error for `cause`, or Snowflake's internal error where no rule knows it."""
    text = str(cause)
    for rule in RULES:
        if rule.pattern.search(text):
            return ProgrammingError(msg=rule.prefix + text, errno=rule.errno, sqlstate=rule.sqlstate)
    return ProgrammingError(
        msg=f"SQL execution internal error in the stand-in ({type(cause).__name__}): {text}",
        errno=INTERNAL[0],
        sqlstate=INTERNAL[1],
    )


def locked(message: str) -> ProgrammingError:
    """Return the retriable error of a statement that lost against another transaction."""
    return ProgrammingError(msg=message, errno=LOCKED[0], sqlstate=LOCKED[1])


def aborted(reason: str) -> ProgrammingError:
    """Return the error of a statement inside a transaction that can only be rolled back."""
    message = f"Transaction was rolled back: {reason} Send ROLLBACK and start the transaction again."
    return ProgrammingError(msg=message, errno=ABORTED[0], sqlstate=ABORTED[1])


@contextmanager
def as_snowflake_errors() -> Iterator[None]:
    """Raise the Snowflake error for whatever DuckDB, or fakesnow on its behalf, raises inside."""
    try:
        yield
    except Error as error:
        if isinstance(error.__cause__, duckdb.Error):
            raise error_for(error.__cause__) from error.__cause__
        raise
    except Exception as error:
        raise error_for(error) from error
