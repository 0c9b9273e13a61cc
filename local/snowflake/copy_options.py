"""Reads the options of a COPY INTO statement, for the stand-in's COPY."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fakesnow.transforms.options import parse_options
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp

MAX_FILES = 1000
# Accepted and without effect here: what they tune (size limits, lengths, uncertain load status) cannot occur.
IGNORED = {"LOAD_UNCERTAIN_FILES", "PURGE", "SIZE_LIMIT", "RETURN_FAILED_ONLY", "ENFORCE_LENGTH", "TRUNCATECOLUMNS"}


class CopyOptions(NamedTuple):
    """The options that change what a COPY of Parquet files does."""

    files: list[str]
    pattern: str | None
    file_type: str
    force: bool
    match_by_column_name: str

    @property
    def case_sensitive(self) -> bool:
        """Say whether columns are matched by exact case."""
        return self.match_by_column_name == "CASE_SENSITIVE"


def copy_options(statement: exp.Copy, named_format: Callable[[str], Mapping[str, Any]]) -> CopyOptions:
    """Parse the options; `named_format` returns a file format's settings. Raises Snowflake's compilation errors."""
    given = {param.this.name.upper(): param for param in statement.args.get("params") or []}
    values = {name: _value(param) for name, param in given.items() if name not in {"FILES", "FILE_FORMAT"}}
    files = [literal.name for literal in given["FILES"].find_all(exp.Literal)] if "FILES" in given else []
    if len(files) > MAX_FILES:
        raise _error(f"FILES lists {len(files)} files; the maximum is {MAX_FILES}.", 1010)
    _check(values)
    return CopyOptions(
        files=files,
        pattern=values.get("PATTERN"),
        file_type=_file_type(given.get("FILE_FORMAT"), named_format),
        force=values.get("FORCE", "").upper() == "TRUE",
        match_by_column_name=values.get("MATCH_BY_COLUMN_NAME", "NONE").upper(),
    )


def _value(param: exp.CopyParameter) -> str:
    value = param.expression
    return str(value.this).upper() if isinstance(value, exp.Boolean) else str(value.name)


def _check(values: Mapping[str, str]) -> None:
    known = {"PATTERN", "FORCE", "MATCH_BY_COLUMN_NAME", "ON_ERROR", *IGNORED}
    if unknown := sorted(set(values) - known):
        raise _error(f"invalid copy option {', '.join(unknown)}", 1003)
    if values.get("ON_ERROR", "ABORT_STATEMENT").upper() != "ABORT_STATEMENT":
        raise _error("the stand-in knows ON_ERROR = ABORT_STATEMENT only", 9999)
    if values.get("MATCH_BY_COLUMN_NAME", "NONE").upper() not in {"NONE", "CASE_SENSITIVE", "CASE_INSENSITIVE"}:
        raise _error(f"invalid value '{values['MATCH_BY_COLUMN_NAME']}' for MATCH_BY_COLUMN_NAME", 1008)


def _file_type(param: exp.CopyParameter | None, named_format: Callable[[str], Mapping[str, Any]]) -> str:
    options = parse_options(param.expressions) if param else {}
    if name := options.pop("FORMAT_NAME", None):
        options = {**named_format(str(name)), **options}
    return str(options.get("TYPE", "CSV")).upper()  # CSV is Snowflake's default


def _error(message: str, errno: int) -> ProgrammingError:
    return ProgrammingError(msg=f"SQL compilation error:\n{message}", errno=errno, sqlstate="42601")
