"""MERGE as one statement of DuckDB instead of fakesnow's several, with the counts Snowflake answers."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from fakesnow.transforms.merge import operations
from sqlglot import exp

ACTIONS = {"inserted": "INSERT", "updated": "UPDATE", "deleted": "DELETE"}


def native(merge: exp.Merge) -> exp.Merge | exp.Insert:
    """Write `merge` as DuckDB wants it: SET columns without the target's name, and the action of each row returned.

    DuckDB raises an error where several source rows match one target row, as Snowflake does by default (100090).
    A MERGE that only inserts becomes INSERT ... WHERE NOT EXISTS, which DuckDB runs on all cores.
    """
    whens = merge.args["whens"].expressions
    if len(whens) == 1 and isinstance(whens[0].args.get("then"), exp.Insert):
        return _insert(merge, whens[0])
    for when in whens:
        then = when.args.get("then")
        for assignment in then.expressions if isinstance(then, exp.Update) else []:
            assignment.set("this", exp.column(assignment.this.this.copy()))
    if len(_performed(merge)) > 1:
        merge.set("returning", exp.Returning(expressions=[exp.column("merge_action")]))
    return merge


def _insert(merge: exp.Merge, when: exp.When) -> exp.Insert:
    target, columns = merge.this.copy(), when.args["then"].this
    matched = exp.select(exp.Literal.number(1)).from_(merge.this.copy()).where(merge.args["on"].copy())
    rows = exp.select(*(value.copy() for value in when.args["then"].expression.expressions))
    rows = rows.from_(merge.args["using"].copy()).where(exp.Not(this=exp.Exists(this=matched)))
    if condition := when.args.get("condition"):
        rows = rows.where(condition.copy())
    target.set("alias", None)
    into = exp.Schema(this=target, expressions=[_bare(column) for column in columns.expressions]) if columns else target
    return exp.Insert(this=into, expression=rows)


def _bare(column: exp.Expression) -> exp.Expression:
    return column.this.copy() if isinstance(column, exp.Column) else column.copy()


def result(merge: exp.Merge, answer: pa.Table) -> tuple[str, int]:
    """Return the SQL of Snowflake's result row and the number of rows affected, from DuckDB's answer to `native`."""
    performed = _performed(merge)
    if len(performed) > 1:
        counts = Counter({row["values"]: row["counts"] for row in answer.column(0).value_counts().to_pylist()})
    else:
        counts = Counter({ACTIONS[performed[0]]: answer.column(0)[0].as_py()})
    columns = [f'{counts[ACTIONS[name]]}::BIGINT AS "number of rows {name}"' for name in performed]
    return f"SELECT {', '.join(columns)}", sum(counts.values())


def _performed(merge: exp.Merge) -> list[str]:
    return [name for name, clauses in operations(merge).items() if clauses]
