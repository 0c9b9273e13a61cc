"""Functions on VARIANT and OBJECT, which are DuckDB's JSON here; the macros they call are in sql/macros.sql."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import Expr, exp

if TYPE_CHECKING:
    from local.snowflake.session import Session

MACROS = "_fs_global.main."


def _macro(name: str, *arguments: Expr) -> exp.Anonymous:
    return exp.Anonymous(this=MACROS + name, expressions=list(arguments))


def _json(value: Expr) -> exp.Anonymous:
    return exp.Anonymous(this="TO_JSON", expressions=[value.copy()])


def parse_json(expression: Expr, _session: Session) -> Expr:
    """Snowflake's PARSE_JSON reads text, also text in a VARIANT; blank text is NULL. TRY_PARSE_JSON never fails."""
    text = _macro("fs_text", expression.this.copy())
    kind = exp.DataType(this=exp.DataType.Type.JSON)
    if expression.args.get("safe"):
        return exp.TryCast(this=text, to=kind)
    blank = exp.Nullif(this=exp.Trim(this=text), expression=exp.Literal.string(""))
    return exp.Cast(this=blank, to=kind)


def object_construct(expression: Expr, _session: Session) -> Expr:
    """Snowflake's OBJECT_CONSTRUCT leaves out pairs whose key or value is NULL."""
    return _object(expression, keep_nulls=False)


def object_construct_keep_null(expression: Expr, _session: Session) -> Expr:
    """Snowflake's OBJECT_CONSTRUCT_KEEP_NULL keeps a NULL value as a JSON null."""
    return _object(expression, keep_nulls=True)


def _object(expression: Expr, *, keep_nulls: bool) -> Expr:
    pairs = [(pair.this, pair.expression) for pair in expression.expressions]
    if any(isinstance(key, exp.Star) or value is None for key, value in pairs):
        return expression  # OBJECT_CONSTRUCT(*) is fakesnow's
    if not pairs:
        return exp.cast(exp.Literal.string("{}"), exp.DataType.Type.JSON)
    names = [exp.Literal.string(key.name) if isinstance(key, exp.Identifier) else key.copy() for key, _ in pairs]
    macro = "fs_object_keep_null" if keep_nulls else "fs_object"
    return _macro(macro, exp.Array(expressions=names), exp.Array(expressions=[_json(value) for _, value in pairs]))


def object_insert(expression: Expr, _session: Session) -> Expr:
    """Snowflake's OBJECT_INSERT raises an error for a key that is there, unless the fourth argument is TRUE."""
    update = expression.args.get("update_flag") or exp.false()
    value = expression.args["value"]
    key = expression.args["key"].copy()
    return _macro("fs_object_insert", expression.this.copy(), key, _json(value), update.copy())


def object_keys(expression: Expr, _session: Session) -> Expr:
    """Snowflake's OBJECT_KEYS is an ARRAY."""
    return _macro("fs_object_keys", expression.this.copy())


def type_of(expression: Expr, _session: Session) -> Expr:
    """Snowflake's TYPEOF names the type of the value in a VARIANT."""
    return _macro("fs_typeof", _json(expression.this))


def array_contains(expression: Expr, _session: Session) -> Expr:
    """Snowflake's ARRAY_CONTAINS(value, array) compares VARIANTs."""
    return _macro("fs_array_contains", _json(expression.expression), expression.this.copy())


def cast(expression: Expr, _session: Session) -> Expr:
    """Snowflake's casts: a VARIANT column to text is the string itself, anything to VARIANT is that value."""
    if not isinstance(expression, exp.Cast):
        return expression
    if isinstance(expression.this, exp.Column) and expression.to.this in exp.DataType.TEXT_TYPES:
        expression.set("this", _macro("fs_text", expression.this.copy()))
    elif expression.to.this == exp.DataType.Type.VARIANT:
        expression.set("this", _json(expression.this))
    return expression


def compare_with_text(expression: Expr, _session: Session) -> Expr:
    """Snowflake compares v:key = 'text' as text; DuckDB would parse the text as JSON."""
    others = [expression.args.get("expression"), *(expression.args.get("expressions") or [])]
    is_text = any(isinstance(other, exp.Literal) and other.is_string for other in others)
    if is_text and isinstance(expression.this, exp.JSONExtract):
        expression.set("this", exp.cast(expression.this.copy(), exp.DataType.Type.TEXT))
    return expression


def _pick(expression: Expr, _session: Session) -> Expr:
    """Snowflake's OBJECT_PICK keeps the named keys that exist; they may also come as one ARRAY."""
    value, *keys = expression.expressions
    return _macro("fs_object_pick", value.copy(), _key_list(keys))


def _delete(expression: Expr, _session: Session) -> Expr:
    """Snowflake's OBJECT_DELETE removes the named keys."""
    value, *keys = expression.expressions
    return _macro("fs_object_delete", value.copy(), _key_list(keys))


def _key_list(keys: list[Expr]) -> Expr:
    if len(keys) == 1 and isinstance(keys[0], exp.Cast | exp.Array):
        return _macro("fs_texts", keys[0].copy())
    return exp.Array(expressions=[key.copy() for key in keys])


def _is(kind: str) -> Callable[[Expr, Session], Expr]:
    def rewrite(expression: Expr, _session: Session) -> Expr:
        found = _macro("fs_typeof", _json(expression.expressions[0]))
        return exp.EQ(this=found, expression=exp.Literal.string(kind))

    return rewrite


BY_NAME: dict[str, Callable[[Expr, Session], Expr]] = {
    "OBJECT_PICK": _pick,
    "OBJECT_DELETE": _delete,
    "IS_OBJECT": _is("OBJECT"),
    "IS_ARRAY": _is("ARRAY"),
    "IS_VARCHAR": _is("VARCHAR"),
    "IS_NULL_VALUE": _is("NULL_VALUE"),
}
