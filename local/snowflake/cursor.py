"""Runs one statement: fakesnow's cursor with the stand-in's transforms, transactions, MERGE, COPY and errors."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from fakesnow.cursor import FakeSnowflakeCursor
from snowflake.connector.errors import DatabaseError, ProgrammingError
from sqlglot import Expr, exp

from local.snowflake import ddl, merge, strict, transforms
from local.snowflake.errors import INTERNAL, as_snowflake_errors
from local.snowflake.results import Description, presentable
from local.snowflake.stage_commands import run_copy, run_list
from local.snowflake.statements import LOCKING, Kind, full_name, kind_of, written_table
from local.snowflake.transforms import account_objects

if TYPE_CHECKING:
    import duckdb

    from local.snowflake.session import Session


class Cursor(FakeSnowflakeCursor):
    """A cursor of the stand-in."""

    # fakesnow sets these to None first, and says no type.
    _arrow_table: Any
    _rowcount: Any
    _sfqid: Any
    _last_sql: Any
    _last_params: Any
    _last_transformed: Any

    def __init__(self, conn: Session, duck_conn: duckdb.DuckDBPyConnection) -> None:
        super().__init__(conn, duck_conn)
        self._session = conn
        self._description: Description = []
        self._original: Expr | None = None

    def execute(self, command: str, params: Any = None, *args: Any, **kwargs: Any) -> Cursor:  # noqa: ANN401
        """Run one statement; every failure is a Snowflake error."""
        with self._session.in_use():
            self._original = None
            try:
                with as_snowflake_errors():
                    super().execute(command, params, *args, **kwargs)
            except ProgrammingError:
                raise
            except DatabaseError as error:
                raise ProgrammingError(msg=error.msg, errno=error.errno or INTERNAL[0], sqlstate=INTERNAL[1]) from error
        return self

    def check_db_and_schema(self, expression: Expr) -> None:
        """Leave out what lives outside databases; fakesnow knows tables and the like only."""
        if not account_objects.is_account_object(expression):
            super().check_db_and_schema(expression)

    def _transform(self, expression: Expr, params: Any) -> Expr:  # noqa: ANN401
        # fakesnow rewrites in place, and some DDL becomes another statement: keep what was asked for.
        self._original = expression.copy() if kind_of(expression) is Kind.DDL else expression
        strict.check_values_clause(expression)
        prepared = transforms.before(expression, self._session)
        return transforms.after(super()._transform(prepared, params))

    def _transform_explode(self, expression: Expr) -> list[Expr]:
        # DuckDB has a MERGE of its own: one statement, atomic, usable inside a transaction.
        if isinstance(expression, exp.Merge):
            return [expression]
        return list(super()._transform_explode(expression))

    def _execute(self, transformed: Expr, params: Any = None) -> None:  # noqa: ANN401
        original = self._original or transformed
        kind = kind_of(original)
        if kind in {Kind.BEGIN, Kind.COMMIT, Kind.ROLLBACK}:
            self._run_transaction(kind)
            return
        table = written_table(original)
        writes = full_name(table, self._session.database, self._session.schema) if table else None
        with self._session.transaction.statement(kind, writes, locks=isinstance(original, LOCKING)):
            nothing = ddl.creates_nothing(self._session, original)
            self._run(transformed, original, params)
            types = [(name, str(kind)) for name, kind, *_ in self._duck_conn.description or []]
            self._arrow_table, self._description = presentable(self._arrow_table, types)
            if not nothing:
                ddl.after(self._session, original)

    def _run_transaction(self, kind: Kind) -> None:
        # The answer first, because it must not start the snapshot of the transaction that it opens.
        super()._execute(transforms.SUCCESS.copy())
        self._description = [("status", "VARCHAR", None, None, None, None)]
        transaction = self._session.transaction
        if kind is Kind.BEGIN:
            transaction.begin()
        elif kind is Kind.COMMIT:
            transaction.commit()
        else:
            transaction.rollback()

    def _run(self, transformed: Expr, original: Expr, params: Any) -> None:  # noqa: ANN401
        if isinstance(transformed, exp.Merge):
            self._run_merge(transformed, params)
        elif isinstance(transformed, exp.Copy) and run_copy(self._session, transformed):
            self._take_result(transformed, "COPY")
        elif isinstance(original, exp.ListStage) and run_list(self._session, original):
            self._take_result(transformed, "LIST")
        else:
            if isinstance(transformed, exp.Insert) and isinstance(original, exp.Insert):
                self._check_variants(transformed)
            super()._execute(transformed, params)

    def _run_merge(self, statement: exp.Merge, params: Any) -> None:  # noqa: ANN401
        native = merge.native(statement)
        if isinstance(native, exp.Insert):
            self._check_variants(native)
        super()._execute(native, params)
        if isinstance(native, exp.Merge):
            sql, count = merge.result(statement, self._arrow_table)
            self._duck_conn.execute(sql)
            self._take_result(statement, sql, count)

    def _check_variants(self, insert: exp.Insert) -> None:
        strict.check_variant_columns(self._duck_conn, insert, self._session.database, self._session.schema)

    def _take_result(self, transformed: Expr, sql: str, rowcount: int | None = None) -> None:
        """Make what the DuckDB connection has just answered the result of this statement."""
        self._arrow_table = self._duck_conn.to_arrow_table()
        self._arrow_table_fetch_index = None
        self._rowcount = self._arrow_table.num_rows if rowcount is None else rowcount
        self._sfqid = str(uuid.uuid4())
        self._last_sql, self._last_params, self._last_transformed = sql, None, transformed
        self._session.results_cache[self._sfqid] = (self._arrow_table, self._rowcount, sql, None, transformed)

    def _describe_last_sql(self) -> Description:
        # DuckDB knows the types of the result it has just given: no need to plan the statement again.
        return self._description
