"""Teaches fakesnow the Snowflake SQL it lacks: small rewrites of a parsed statement, before and after fakesnow's own.

Each module has one subject. A rewrite takes a node and returns it or its replacement, as fakesnow's transforms do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fakesnow.transforms import SUCCESS_NOP
from sqlglot import Expr, exp

from local.snowflake.transforms import (
    account_objects,
    comments,
    context,
    functions,
    qualify,
    session_parameters,
    tables,
    variant,
)

if TYPE_CHECKING:
    from local.snowflake.session import Session

SUCCESS = SUCCESS_NOP

Rewrite = Callable[[Expr, "Session"], Expr]

# Whole statements, in this order; then every node of what is left.
STATEMENTS: tuple[Rewrite, ...] = (
    account_objects.accept,
    account_objects.drop_database,
    account_objects.managed_access,
    session_parameters.alter_session,
    session_parameters.use_secondary_roles,
    comments.on_column,
    tables.alter_options,
    tables.truncate_if_exists,
    tables.unenforced_constraints,
    tables.text_lengths,
)
NODES: dict[type[Expr], Rewrite] = {
    exp.ParseJSON: variant.parse_json,
    exp.Struct: variant.object_construct,
    exp.JSONObject: variant.object_construct_keep_null,
    exp.ObjectInsert: variant.object_insert,
    exp.JSONKeys: variant.object_keys,
    exp.Typeof: variant.type_of,
    exp.ArrayContains: variant.array_contains,
    exp.Cast: variant.cast,
    exp.TryCast: functions.try_cast,
    exp.Anonymous: functions.by_name,
    exp.Select: qualify.narrow_qualify,
    exp.CountIf: functions.count_if,
    exp.Div: functions.division,
    exp.ToChar: functions.to_char,
    exp.EQ: variant.compare_with_text,
    exp.NEQ: variant.compare_with_text,
    exp.In: variant.compare_with_text,
    exp.CurrentTimestamp: context.current_time,
    exp.CurrentWarehouse: context.current,
    exp.CurrentRole: context.current,
    exp.CurrentUser: context.current,
    exp.CurrentAccount: context.current,
    exp.CurrentSession: context.current,
}


def before(expression: Expr, session: Session) -> Expr:
    """Rewrite a Snowflake statement before fakesnow does."""
    for rewrite in STATEMENTS:
        expression = rewrite(expression, session)
    # From the leaves up: a rewrite takes its arguments as they are, so they must be done before it.
    for node in reversed([node for node in expression.bfs() if type(node) in NODES]):
        replacement = NODES[type(node)](node, session)
        if node is expression:
            expression = replacement
        elif replacement is not node:
            node.replace(replacement)
    return expression


def after(expression: Expr) -> Expr:
    """Rewrite what fakesnow has made of a statement, which is DuckDB's by now."""
    return comments.quoted_table_comment(expression).transform(functions.exact_sum, copy=False)
