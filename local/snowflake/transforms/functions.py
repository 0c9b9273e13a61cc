"""Functions and operators that DuckDB has not, or has with another result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snowflake.connector.errors import ProgrammingError
from sqlglot import Expr, exp

from local.snowflake.transforms import variant

if TYPE_CHECKING:
    from local.snowflake.session import Session

# Snowflake's format elements, longest first, as strftime's.
FORMAT = (
    ("YYYY", "%Y"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("FF6", "%f"),
    ("FF3", "%g"),
    ("MON", "%b"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("DY", "%a"),
    ("MI", "%M"),
    ("SS", "%S"),
    ("YY", "%y"),
    ("AM", "%p"),
    ("PM", "%p"),
)
_UTF_8 = ("UTF-8", "UTF8")


def count_if(expression: Expr, _session: Session) -> Expr:
    """Snowflake's COUNT_IF is an integer, and 0 for no rows; DuckDB's is a huge integer or NULL."""
    return exp.Count(this=exp.If(this=expression.this.copy(), true=exp.Literal.number(1)), big_int=True)


def division(expression: Expr, _session: Session) -> Expr:
    """Snowflake raises an error for a division by zero (100051); DuckDB answers infinity."""
    divisor = expression.expression
    if not (isinstance(divisor, exp.Literal) and divisor.name.strip("0.")):
        expression.set("expression", exp.Anonymous(this=variant.MACROS + "fs_divisor", expressions=[divisor.copy()]))
    return expression


def to_char(expression: Expr, _session: Session) -> Expr:
    """Snowflake's TO_CHAR(time, format), for which sqlglot leaves the format out, and TO_CHAR(binary, 'UTF-8')."""
    given = expression.args.get("format")
    if given is None:
        return expression
    if not isinstance(given, exp.Literal):
        message = "The stand-in knows TO_CHAR with a literal format only."
        raise ProgrammingError(msg=message, errno=9999, sqlstate="0A000")
    if given.name.upper() in _UTF_8:
        return exp.Anonymous(this="decode", expressions=[expression.this.copy()])
    return exp.func("strftime", expression.this.copy(), exp.Literal.string(_strftime(given.name)), dialect="duckdb")


def _strftime(text: str) -> str:
    result = ""
    while text:
        if text.startswith('"'):
            literal, _, text = text[1:].partition('"')
            result += literal
            continue
        element, replacement = next((pair for pair in FORMAT if text.upper().startswith(pair[0])), (text[0], text[0]))
        result, text = result + replacement, text[len(element) :]
    return result


def exact_sum(expression: Expr) -> Expr:
    """Snowflake's SUM of whole numbers is a whole number; fakesnow adds them up as DOUBLE, for the sake of text."""
    cast = expression.this if isinstance(expression, exp.Sum) else None
    if isinstance(cast, exp.TryCast) and cast.to.this == exp.DataType.Type.DOUBLE and not cast.find(exp.JSONExtract):
        expression.set("this", cast.this)
    return expression


def try_cast(expression: Expr, session: Session) -> Expr:
    """Snowflake's TRY_CAST to a timestamp is NULL for what is none; fakesnow makes it a CAST, which fails."""
    if isinstance(expression, exp.Cast) and expression.to.this in {
        exp.DataType.Type.TIMESTAMP,
        exp.DataType.Type.TIMESTAMPNTZ,
    }:
        return exp.Anonymous(this=variant.MACROS + "fs_try_timestamp", expressions=[expression.this.copy()])
    return variant.cast(expression, session)


def _try_to_timestamp(expression: Expr, _session: Session) -> Expr:
    """Snowflake's TRY_TO_TIMESTAMP_NTZ(text) is NULL for text that is no timestamp."""
    if len(expression.expressions) != 1:
        return expression
    return exp.Anonymous(this=variant.MACROS + "fs_try_timestamp", expressions=[expression.expressions[0].copy()])


BY_NAME = {**variant.BY_NAME, "TRY_TO_TIMESTAMP_NTZ": _try_to_timestamp, "TRY_TO_TIMESTAMP": _try_to_timestamp}


def by_name(expression: Expr, session: Session) -> Expr:
    """Rewrite functions that sqlglot has no class for."""
    rewrite = BY_NAME.get(expression.name.upper())
    return rewrite(expression, session) if rewrite else expression
