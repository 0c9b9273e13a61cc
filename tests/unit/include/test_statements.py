"""The SQL as text: values are bound, dates are literals, identifiers are checked, every statement is one of ours."""

from __future__ import annotations

import re

import pytest

from include.statements import SQL, statement

FILES = sorted(
    path.relative_to(SQL).with_suffix("").as_posix() for path in SQL.glob("*/*.sql") if path.parent.name != "ddl"
)
NAMES = [
    (file, name)
    for file in FILES
    for name in re.findall(r"^-- name: (\w+)$", (SQL / f"{file}.sql").read_text(), re.MULTILINE)
]
IDENTIFIERS = {
    "table": "L_1_EVENTS", "failed_table": "L_1_FAILED", "template": "EVENTS_TEMPLATE", "purpose": "analytics",
    "outbox": "AMPLITUDE_OUTBOX",
}  # fmt: skip
DATES = ["2026-11-23", "1970-01-01"]


def filled(file: str, name: str) -> str:
    return statement(file, name, DATES, **IDENTIFIERS)


@pytest.mark.parametrize(("file", "name"), NAMES, ids=[f"{file}.{name}" for file, name in NAMES])
def test_every_statement_fills_and_is_one_statement(file: str, name: str) -> None:
    text = filled(file, name)
    assert not re.search(r"\{\w+\}", text), "no placeholder is left"
    assert ";" not in text
    assert re.match(r"(SELECT|INSERT|UPDATE|DELETE|MERGE|COPY|CREATE|DROP)\b", text)


@pytest.mark.parametrize(("file", "name"), NAMES, ids=[f"{file}.{name}" for file, name in NAMES])
def test_every_statement_binds_its_values(file: str, name: str) -> None:
    text = filled(file, name)
    names = set(re.findall(r"%\((\w+)\)s", text))
    assert text.replace("%%", "").count("%") == len(re.findall(r"%\(\w+\)s", text)), "each % belongs to a bound value"
    assert text % dict.fromkeys(names, "x"), "it formats with its own values alone"


def test_dates_are_sorted_literals() -> None:
    text = statement("load/merge", "events", {"2026-11-23", "1970-01-01"}, table="L_1_EVENTS")
    assert "ON t.OCCURRED_ON IN ('1970-01-01', '2026-11-23')" in text


def test_the_merge_matches_key_and_literal_dates_and_only_inserts() -> None:
    text = " ".join(filled("load/merge", "events").split())
    on = text.partition(") s ON ")[2].partition(" WHEN ")[0]
    assert on == (
        "t.OCCURRED_ON IN ('1970-01-01', '2026-11-23') AND t.OCCURRED_ON = s.OCCURRED_ON "
        "AND t.SOURCE_ID = s.SOURCE_ID AND t.EVENT_ID = s.EVENT_ID"
    )
    assert "MATCHED THEN UPDATE" not in text
    assert "ORDER BY KAFKA_PARTITION, KAFKA_OFFSET, ENVELOPE_INDEX ) = 1" in text, "the lowest place wins"


def test_copy_names_its_files_and_never_trusts_the_load_history() -> None:
    text = statement("load/landing", "copy", table="L_1_EVENTS")
    assert "FILES = (%(files)s)" in text
    assert "FORCE = TRUE" in text
    assert "ON_ERROR = ABORT_STATEMENT" in text


@pytest.mark.parametrize("bad", ["L-1", "L_1; DROP TABLE X", "1L", "", 'L"1', "L 1", "L_1\n"])
def test_what_is_no_identifier_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="not a plain SQL identifier"):
        statement("load/landing", "count", table=bad)


@pytest.mark.parametrize("bad", ["2026-1-1", "2026-11-23' OR 1=1 --", "yesterday", "", "2026-11-23\n"])
def test_what_is_no_date_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="is not a date"):
        statement("load/merge", "events", [bad], table="T")


def test_a_statement_that_does_not_exist_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        statement("load/merge", "nothing")
