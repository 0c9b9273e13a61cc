"""COPY INTO from Azurite, as Snowflake does it: by name, all or nothing, with load metadata; text stays text."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from azure.storage.blob import ContainerClient
from snowflake.connector.connection import SnowflakeConnection
from snowflake.connector.errors import ProgrammingError

from local.stack import Stack
from tests.integration.snowflake_client import connect, new_schema, run, stage_rows

FORMAT = "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"


@pytest.fixture
def warehouse(snowflake: Stack, container: ContainerClient) -> Iterator[SnowflakeConnection]:
    with connect(snowflake.endpoints) as connection:
        new_schema(connection)
        run(connection, f"CREATE STAGE LAKE URL = 'azure://acct.blob.core.windows.net/{container.container_name}/'")
        run(connection, "CREATE TABLE T (ID VARCHAR, N NUMBER, V VARIANT, MISSING VARCHAR DEFAULT 'x')")
        yield connection


def copy(warehouse: SnowflakeConnection, *files: str, options: str = FORMAT) -> list[tuple[Any, ...]]:
    names = ", ".join(f"'{name}'" for name in files)
    return run(warehouse, f"COPY INTO T FROM @LAKE FILES = ({names}) {options}")


def test_copy_loads_files_and_answers_per_file(warehouse: SnowflakeConnection, container: ContainerClient) -> None:
    stage_rows(container, "a/1.parquet", id=["x", "y"], n=[1, 2], other=[True, False])
    stage_rows(container, "a/2.parquet", ID=["z"], V=[{"k": 1}])

    answer = copy(warehouse, "a/1.parquet", "a/2.parquet")

    assert [(row[0].rpartition("/lake")[2].split("/")[-1], *row[1:6]) for row in answer] == [
        ("1.parquet", "LOADED", 2, 2, 1, 0),
        ("2.parquet", "LOADED", 1, 1, 1, 0),
    ]
    assert answer[0][0] == f"azure://acct.blob.core.windows.net/{container.container_name}/a/1.parquet"
    assert run(warehouse, "SELECT ID, N, V:k::NUMBER, MISSING FROM T ORDER BY ID") == [
        ("x", 1, None, None),
        ("y", 2, None, None),
        ("z", None, 1, None),
    ]


def test_path_of_the_stage_is_a_prefix(warehouse: SnowflakeConnection, container: ContainerClient) -> None:
    stage_rows(container, "deep/er/1.parquet", ID=["x"])
    assert run(warehouse, f"COPY INTO T FROM @LAKE/deep/ FILES = ('er/1.parquet') {FORMAT}")[0][1] == "LOADED"
    assert [row[0].rpartition("/")[2] for row in run(warehouse, "LIST @LAKE/deep/")] == ["1.parquet"]


def test_without_files_everything_under_the_path_is_loaded(
    warehouse: SnowflakeConnection, container: ContainerClient
) -> None:
    stage_rows(container, "p/1.parquet", ID=["x"])
    stage_rows(container, "p/2.parquet", ID=["y"])
    container.upload_blob("p/readme.txt", b"no Parquet")
    assert len(run(warehouse, f"COPY INTO T FROM @LAKE/p/ PATTERN = '.*[.]parquet' {FORMAT}")) == 2
    assert run(warehouse, f"COPY INTO T FROM @LAKE/nothing/ {FORMAT}") == [("Copy executed with 0 files processed.",)]


def test_json_text_stays_text_until_it_is_parsed(warehouse: SnowflakeConnection, container: ContainerClient) -> None:
    stage_rows(container, "v.parquet", ID=["good", "bad", "none"], V=['{"k": "s"}', "{", None])
    copy(warehouse, "v.parquet")
    assert run(warehouse, "SELECT ID, TYPEOF(V), V:k, TRY_PARSE_JSON(V):k::STRING, V IS NULL FROM T ORDER BY ID") == [
        ("bad", "VARCHAR", None, None, False),
        ("good", "VARCHAR", None, "s", False),
        ("none", None, None, None, True),
    ]


def test_a_file_is_loaded_once_until_it_changes(warehouse: SnowflakeConnection, container: ContainerClient) -> None:
    stage_rows(container, "f.parquet", ID=["one"])
    stage_rows(container, "g.parquet", ID=["other"])
    assert copy(warehouse, "f.parquet")[0][1] == "LOADED"
    assert [(row[1], row[3], row[6]) for row in copy(warehouse, "f.parquet", "g.parquet")] == [
        ("LOAD_SKIPPED", 0, "File was loaded before."),
        ("LOADED", 1, None),
    ]
    stage_rows(container, "f.parquet", ID=["two"])
    assert copy(warehouse, "f.parquet")[0][1] == "LOADED"
    assert run(warehouse, "SELECT ID FROM T ORDER BY ID") == [("one",), ("other",), ("two",)]


@pytest.mark.parametrize(
    "forget", ["TRUNCATE TABLE T", "CREATE OR REPLACE TABLE T (ID VARCHAR)", "DROP TABLE T", "force"]
)
def test_what_makes_a_file_load_again(warehouse: SnowflakeConnection, container: ContainerClient, forget: str) -> None:
    stage_rows(container, "f.parquet", ID=["one"])
    copy(warehouse, "f.parquet")
    if forget != "force":
        run(warehouse, forget)
    run(warehouse, "CREATE TABLE IF NOT EXISTS T (ID VARCHAR)")
    options = f"{FORMAT} FORCE = TRUE" if forget == "force" else FORMAT
    assert copy(warehouse, "f.parquet", options=options)[0][1] == "LOADED"


def test_create_if_not_exists_keeps_the_load_metadata(
    warehouse: SnowflakeConnection, container: ContainerClient
) -> None:
    stage_rows(container, "f.parquet", ID=["one"])
    copy(warehouse, "f.parquet")
    run(warehouse, "CREATE TABLE IF NOT EXISTS T (ID VARCHAR)")
    assert copy(warehouse, "f.parquet")[0][1] == "LOAD_SKIPPED"


def test_copy_is_undone_by_rollback_with_its_metadata(
    warehouse: SnowflakeConnection, container: ContainerClient
) -> None:
    stage_rows(container, "f.parquet", ID=["one"])
    run(warehouse, "BEGIN")
    assert copy(warehouse, "f.parquet")[0][1] == "LOADED"
    run(warehouse, "ROLLBACK")
    assert run(warehouse, "SELECT COUNT(*) FROM T") == [(0,)]
    assert copy(warehouse, "f.parquet")[0][1] == "LOADED"


def test_a_bad_file_loads_nothing(warehouse: SnowflakeConnection, container: ContainerClient) -> None:
    stage_rows(container, "good.parquet", ID=["one"])
    container.upload_blob("broken.parquet", b"PAR1 this is not Parquet PAR1")
    stage_rows(container, "wrong.parquet", N=["not a number"])
    for bad in ("broken.parquet", "wrong.parquet", "absent.parquet"):
        with pytest.raises(ProgrammingError) as raised:
            copy(warehouse, "good.parquet", bad)
        assert raised.value.errno in {100082, 100038, 91016}
    assert run(warehouse, "SELECT COUNT(*) FROM T") == [(0,)]
    assert copy(warehouse, "good.parquet")[0][1] == "LOADED"


def test_limits_and_options(warehouse: SnowflakeConnection, container: ContainerClient) -> None:
    stage_rows(container, "f.parquet", ID=["one"], N=pa.array([7], pa.int32()))
    run(warehouse, "CREATE FILE FORMAT PQ TYPE = PARQUET USE_LOGICAL_TYPE = TRUE COMPRESSION = AUTO")
    named = "FILE_FORMAT = (FORMAT_NAME = 'PQ') MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = ABORT_STATEMENT"
    assert copy(warehouse, "f.parquet", options=named)[0][1] == "LOADED"
    with pytest.raises(ProgrammingError, match="maximum is 1000"):
        copy(warehouse, *(f"{n}.parquet" for n in range(1001)))
    with pytest.raises(ProgrammingError, match="invalid copy option FORCED"):
        copy(warehouse, "f.parquet", options=f"{FORMAT} FORCED = TRUE")
    with pytest.raises(ProgrammingError, match="ABORT_STATEMENT only"):
        copy(warehouse, "f.parquet", options=f"{FORMAT} ON_ERROR = CONTINUE")
    with pytest.raises(ProgrammingError, match="does not exist"):
        run(warehouse, f"COPY INTO T FROM @NO_STAGE FILES = ('f.parquet') {FORMAT}")


def test_a_thousand_files_in_one_copy(warehouse: SnowflakeConnection, container: ContainerClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(
            pool.map(lambda n: stage_rows(container, f"many/{n:03d}.parquet", ID=[str(n)], N=[n]), range(1000))
        )
    answer = copy(warehouse, *names)
    assert {row[1] for row in answer} == {"LOADED"}
    assert run(warehouse, "SELECT COUNT(*), SUM(N), COUNT(DISTINCT ID) FROM T") == [(1000, 499_500, 1000)]


@pytest.mark.parametrize(
    "access", ["STORAGE_INTEGRATION = LAKE_INTEGRATION", "CREDENTIALS = (AZURE_SAS_TOKEN = '?sv=1')", ""]
)
def test_stages_with_any_kind_of_access(
    warehouse: SnowflakeConnection, container: ContainerClient, access: str
) -> None:
    url = f"azure://acct.blob.core.windows.net/{container.container_name}"
    run(
        warehouse,
        "CREATE STORAGE INTEGRATION IF NOT EXISTS LAKE_INTEGRATION TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'AZURE' "
        f"ENABLED = TRUE AZURE_TENANT_ID = 'x' STORAGE_ALLOWED_LOCATIONS = ('{url}/')",
    )
    run(warehouse, f"CREATE OR REPLACE STAGE OTHER URL = '{url}/s' {access} COMMENT = 'the lake'")
    run(warehouse, f"CREATE STAGE IF NOT EXISTS OTHER URL = '{url}/elsewhere/'")
    stage_rows(container, "s/1.parquet", ID=["one"])
    assert run(warehouse, f"COPY INTO T FROM @OTHER FILES = ('1.parquet') {FORMAT}")[0][1] == "LOADED"
