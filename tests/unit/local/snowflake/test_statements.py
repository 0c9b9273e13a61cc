"""What a statement does to a transaction and which table it writes; which parameters and options are known."""

from __future__ import annotations

import pytest
from fakesnow.dialect import parse_one
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp

from local.snowflake.copy_options import CopyOptions, copy_options
from local.snowflake.lake import Place, place_of
from local.snowflake.merge import native
from local.snowflake.statements import Kind, full_name, kind_of, written_table


@pytest.mark.parametrize(
    ("sql", "kind", "writes"),
    [
        ("BEGIN TRANSACTION", Kind.BEGIN, None),
        ("COMMIT WORK", Kind.COMMIT, None),
        ("ROLLBACK", Kind.ROLLBACK, None),
        ("SELECT * FROM T", Kind.OTHER, None),
        ("ALTER SESSION SET QUERY_TAG = 'x'", Kind.OTHER, None),
        ("INSERT INTO T (A) SELECT 1", Kind.DML, "D.S.T"),
        ("INSERT INTO X.T VALUES (1)", Kind.DML, "D.X.T"),
        ("UPDATE A.B.T t SET V = 1", Kind.DML, "A.B.T"),
        ('DELETE FROM "t"', Kind.DML, "D.S.t"),
        ("TRUNCATE TABLE IF EXISTS T", Kind.DML, "D.S.T"),
        ("MERGE INTO T t USING U ON t.A = U.A WHEN MATCHED THEN DELETE", Kind.DML, "D.S.T"),
        ("COPY INTO T FROM @L", Kind.DML, "D.S.T"),
        ("CREATE TABLE T (A INT)", Kind.DDL, None),
        ("CREATE OR REPLACE STAGE S URL = 'azure://a/b/'", Kind.DDL, None),
        ("ALTER TABLE T ADD COLUMN B INT", Kind.DDL, None),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA S TO ROLE R", Kind.DDL, None),
        ("COMMENT ON TABLE T IS 'x'", Kind.DDL, None),
    ],
)
def test_kind_and_table(sql: str, kind: Kind, writes: str | None) -> None:
    statement = parse_one(sql)
    table = written_table(statement)
    assert (kind_of(statement), table and full_name(table, "D", "S")) == (kind, writes)


def test_merge_that_only_inserts_is_an_insert() -> None:
    sql = "MERGE INTO T t USING U s ON t.K = s.K WHEN NOT MATCHED AND s.V > 0 THEN INSERT (K, V) VALUES (s.K, s.V)"
    merge = parse_one(sql)
    assert isinstance(merge, exp.Merge)
    assert native(merge).sql("duckdb") == (
        "INSERT INTO T (K, V) SELECT s.K, s.V FROM U AS s "
        "WHERE NOT EXISTS(SELECT 1 FROM T AS t WHERE t.K = s.K) AND s.V > 0"
    )


def test_copy_options() -> None:
    def read(options: str) -> CopyOptions:
        statement = parse_one(f"COPY INTO T FROM @L {options}")
        assert isinstance(statement, exp.Copy)
        return copy_options(statement, lambda name: {"TYPE": name})

    assert read("") == CopyOptions([], None, "CSV", force=False, match_by_column_name="NONE")
    assert read("FILES = ('a') FORCE = FALSE FILE_FORMAT = (TYPE = PARQUET)").force is False
    assert read("FILES = ('a', 'b') FORCE = TRUE").files == ["a", "b"]
    assert read("FILE_FORMAT = (FORMAT_NAME = 'PARQUET') PATTERN = '.*x'").file_type == "PARQUET"
    assert read("MATCH_BY_COLUMN_NAME = CASE_SENSITIVE").case_sensitive
    with pytest.raises(ProgrammingError, match="MATCH_BY_COLUMN_NAME"):
        read("MATCH_BY_COLUMN_NAME = MAYBE")


def test_place_of_a_stage() -> None:
    url = "azure://acct.blob.core.windows.net/lake/events/v1/"
    assert place_of(url) == Place("lake", "events/v1/", url)
