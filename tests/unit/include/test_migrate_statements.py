"""The migration as text: names filled in, every statement one that may be applied again, no secret printed."""

from __future__ import annotations

import json
import re

import pytest

from include.connections import connection, snowflake_parameters
from include.contract.settings import load
from include.errors import SetupError
from include.migrate import MigrationSettings, main, statements
from include.statements import SQL

URL = "azure://account.blob.core.windows.net/lake/"
ALL = list(statements(MigrationSettings(lake_url=URL)))
REPEATABLE = re.compile(
    r"(CREATE (DATABASE|SCHEMA|WAREHOUSE|FILE FORMAT|STAGE|TABLE|ROLE) IF NOT EXISTS"
    r"|CREATE OR REPLACE VIEW|GRANT|MERGE INTO|ALTER TABLE \S+ ADD COLUMN IF NOT EXISTS|COMMENT ON COLUMN"
    r"|ALTER TABLE \S+ ALTER COLUMN \w+ DROP NOT NULL)\b"
)


@pytest.mark.parametrize(
    "text", [text for _, text in ALL], ids=[f"{file}-{number}" for number, (file, _) in enumerate(ALL)]
)
def test_every_statement_may_be_applied_again(text: str) -> None:
    assert REPEATABLE.match(text), "a table or a role is never replaced"
    assert not re.search(r"\{\w*\}", text)
    assert not text.endswith(";")


def test_files_are_applied_in_order_and_none_is_left_out() -> None:
    files = [file for file, _ in ALL]
    assert files == sorted(files)
    assert set(files) == {path.name for path in (SQL / "ddl").iterdir()}


def test_names_come_from_the_settings() -> None:
    settings = MigrationSettings(lake_url=URL, database="OTHER", warehouse="WH2", storage_integration="LAKE_INT")
    text = "\n".join(sql for _, sql in statements(settings))
    assert "ANALYTICS" not in text
    assert "WAREHOUSE WH2" in text
    assert "STORAGE_INTEGRATION = LAKE_INT" in text
    assert f"URL = '{URL}'" in text


def test_every_column_of_a_table_for_people_has_a_comment() -> None:
    for file in ("030_core.sql", "050_control.sql", "055_backfills.sql", "060_publish.sql"):
        for text in (sql for name, sql in ALL if name == file and sql.startswith("CREATE TABLE")):
            columns = [line.strip() for line in text.splitlines()[1:] if re.match(r"\s+[A-Z_]+ [A-Z]", line)]
            bare = [line for line in columns if " COMMENT '" not in line and not line.startswith(("COMMENT", ")"))]
            assert bare == [], file


@pytest.mark.parametrize("bad", [
    {"MIGRATE_LAKE_URL": "https://x"}, {"MIGRATE_LAKE_URL": "azure://a/b/c'd"}, {},
    {"MIGRATE_LAKE_URL": URL, "MIGRATE_DATABASE": "A;DROP"}, {"MIGRATE_LAKE_URL": URL, "MIGRATE_NOPE": "1"},
])  # fmt: skip
def test_wrong_names_are_refused(bad: dict[str, str]) -> None:
    with pytest.raises(SetupError, match="MIGRATE_"):
        load(MigrationSettings, "MIGRATE_", bad)


def test_a_dry_run_prints_everything_and_connects_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run"], {"MIGRATE_LAKE_URL": URL}) == 0
    printed = capsys.readouterr().out
    assert printed.count(";\n\n") == len(ALL)


def test_what_cannot_be_applied_is_one_sentence_and_exit_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {"MIGRATE_LAKE_URL": URL}) == 1
    assert capsys.readouterr().err == (
        "migration failed: AIRFLOW_CONN_WAREHOUSE is not set: `source .local/endpoints.env`, "
        "or set the connection in JSON form\n"
    )


def test_a_connection_in_either_json_form_becomes_the_connectors_arguments() -> None:
    extra = {"account": "acc", "private_key_file": "/keys/rsa.p8", "warehouse": "WH"}
    for written in (extra, json.dumps(extra)):
        spec = {"conn_type": "snowflake", "login": "PIPELINE", "schema": "CORE", "extra": written}
        found = snowflake_parameters(connection("warehouse", {"AIRFLOW_CONN_WAREHOUSE": json.dumps(spec)}))
        assert found == {
            "user": "PIPELINE", "schema": "CORE", **extra, "login_timeout": 20, "network_timeout": 120,
        }  # fmt: skip


def test_a_connection_that_is_not_json_never_shows_its_text() -> None:
    with pytest.raises(SetupError) as caught:
        connection("warehouse", {"AIRFLOW_CONN_WAREHOUSE": "snowflake://user:secret@host"})
    assert "secret" not in str(caught.value)
