"""The SQL as text: values are bound, dates are literals, identifiers are checked, every statement is one of ours."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from include.statements import MAX_DATES, SQL, statement

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


def days(count: int) -> list[str]:
    return [f"{date(1901, 1, 1) + timedelta(days=day)}" for day in range(count)]


def test_as_many_dates_as_may_be_are_all_listed() -> None:
    text = statement("load/merge", "events", days(MAX_DATES), table="L_1_EVENTS")
    assert text.count("'19") == MAX_DATES
    assert "BETWEEN" not in text


@pytest.mark.parametrize("count", [MAX_DATES + 1, 5 * MAX_DATES, 700_000])
def test_however_many_dates_clients_choose_a_statement_stays_short(count: int) -> None:
    dates = days(count)
    text = statement("load/merge", "events", reversed(dates), table="L_1_EVENTS")
    older = f"OR t.OCCURRED_ON BETWEEN '{dates[0]}' AND '{dates[-MAX_DATES - 1]}')"
    assert f"ON (t.OCCURRED_ON IN ('{dates[-MAX_DATES]}', " in text
    assert f"'{dates[-1]}') {older}" in text
    assert len(text) < 20_000


USED_WITH_DATES = [(file, name) for file, name in NAMES if "1970-01-01" in filled(file, name)]


@pytest.mark.parametrize(("file", "name"), USED_WITH_DATES, ids=[f"{file}.{name}" for file, name in USED_WITH_DATES])
def test_dates_only_prune_because_a_range_of_them_has_too_many(file: str, name: str) -> None:
    """Each statement says which rows it means by a key, batch, load or landing table too."""
    text = re.sub(r"[\w.]+ IN \('1970-01-01', '2026-11-23'\)", "TRUE", filled(file, name))
    assert "1970-01-01" not in text, "dates stand as COLUMN IN ({dates})"
    exact = (
        r"\w\.OCCURRED_ON = \w\.\w+", r"BATCH_ID IN \(%\((?:batches|plans)\)s\)", r"LOADED_AT = %\(loaded_at\)s",
        r"FROM LANDING\.", r"o\.BATCH_ID IN",
    )  # fmt: skip
    assert any(re.search(one, text) for one in exact), text


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
