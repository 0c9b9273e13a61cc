"""The order of a load's effects: COPY before BEGIN, the ledger before COMMIT, the landing tables dropped last."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from snowflake.connector.errors import OperationalError, ProgrammingError

from include.errors import SetupError, TerminalError, TransientError
from include.manifest import Manifest, StagedFile
from include.plans import Plan
from include.warehouse import Warehouse, load, missing_sequences, sweep_landing
from tests.unit.include.fakes import RecordingConnection

LOADED_AT = datetime(2026, 11, 23, 10, 1, 2, 345678)  # noqa: DTZ001 - as SYSDATE() answers
START = datetime(2026, 11, 23, 10, tzinfo=UTC)


def manifest(sequence: int = 1, *, failed: int = 2, dates: tuple[str, ...] = ("2026-11-22", "2026-11-23")) -> Manifest:
    plan = Plan(sequence, "events", "id", "cluster", START, START, final=True, ranges=())
    files = [StagedFile(f"events/{sequence}.parquet", "events", 0, 10, 1, "", dates)] if dates else []
    if failed:
        files.append(StagedFile(f"failed/{sequence}.parquet", "failed", 0, failed, 1, ""))
    return Manifest(plan, tuple(files), 3, 12, 10 if dates else 0, failed, 0)


def connection(**answers: Any) -> RecordingConnection:
    """A warehouse where plan 1 is not loaded and every COPY brings what the manifests say."""
    events, failed = answers.pop("landed", (10, 2))
    return RecordingConnection({
        "SELECT COUNT(*) FROM LANDING.L_": lambda _: [(events,)],
        "UPDATE CONTROL.WRITER_LOCKS": [(1,)],
        "SELECT SYSDATE()": [(LOADED_AT,)],
        "SELECT COALESCE(MIN(l.SEQUENCE)": [(1,)],
        "SELECT SEQUENCE FROM CONTROL.LOADS": [],
        "SELECT BATCH_ID, COUNT(*) FROM CORE.EVENTS": [("events-0000000001", 7)],
        "SELECT BATCH_ID, COUNT(*), COUNT_IF": [("events-0000000001", 3, 1)],
        **_counts(events, failed),
        **answers,
    })  # fmt: skip


def _counts(events: int, failed: int) -> dict[str, Any]:
    landed = iter([events, failed])
    return {"SELECT COUNT(*) FROM LANDING.L_": lambda _: [(next(landed),)]}


def test_a_load_acknowledges_last() -> None:
    fake = connection()
    load(Warehouse(fake), [manifest()])  # type: ignore[arg-type]
    effects = [" ".join(effect.split()[:2]) for effect in fake.effects]
    assert effects == [
        "CREATE OR", "COPY INTO", "SELECT COUNT(*)", "CREATE OR", "COPY INTO", "SELECT COUNT(*)", "INSERT INTO",
        "BEGIN", "UPDATE CONTROL.WRITER_LOCKS", "SELECT SYSDATE()", "SELECT COALESCE(MIN(l.SEQUENCE)",
        "SELECT SEQUENCE", "MERGE INTO", "MERGE INTO", "SELECT BATCH_ID,", "SELECT BATCH_ID,",
        "INSERT INTO", "INSERT INTO",
        "COMMIT", "DROP TABLE", "DROP TABLE",
    ]  # fmt: skip
    inserts = [text.split()[2] for text, _ in fake.statements if text.startswith("INSERT INTO")]
    assert inserts[1:] == ["CONTROL.LOADS", "PUBLISH.OUTBOX"]
    merges = [text.split()[2] for text, _ in fake.statements if text.startswith("MERGE")]
    assert merges == ["CORE.EVENTS", "CORE.FAILED_EVENTS"]


def test_the_ledger_row_says_what_the_manifest_and_the_merge_say() -> None:
    fake = connection()
    totals = load(Warehouse(fake), [manifest()])  # type: ignore[arg-type]
    (row,) = fake.values_of("INSERT INTO CONTROL.LOADS")
    assert row["load_id"].startswith("events-0000000001+1-")
    assert (row["topic"], row["sequence"], row["batch_id"]) == ("events", 1, "events-0000000001")
    assert (row["envelopes"], row["announced"], row["interval_start"]) == (3, 12, START.replace(tzinfo=None))
    assert row["loaded_at"] == LOADED_AT
    expected = {"rows_staged": 10, "rows_inserted": 7, "failed_staged": 2, "failed_inserted": 3, "unparsed": 1}
    assert totals == expected
    assert {name: row[name] for name in expected} == expected


def test_the_merge_gets_the_dates_of_all_its_manifests_as_literals() -> None:
    fake = connection(landed=(20, 4))
    both = [manifest(), manifest(2, dates=("2026-08-25",))]
    fake.answers["SELECT BATCH_ID, COUNT(*) FROM CORE.EVENTS"] = []
    load(Warehouse(fake), both)  # type: ignore[arg-type]
    merge = next(text for text, _ in fake.statements if text.startswith("MERGE INTO CORE.EVENTS"))
    assert "t.OCCURRED_ON IN ('2026-08-25', '2026-11-22', '2026-11-23')" in merge
    copied = [values["files"] for text, values in fake.statements if text.startswith("COPY")]
    assert copied == [["events/1.parquet", "events/2.parquet"], ["failed/1.parquet", "failed/2.parquet"]]


def test_a_plan_without_any_event_still_gets_its_ledger_row() -> None:
    fake = connection()
    load(Warehouse(fake), [manifest(failed=0, dates=())])  # type: ignore[arg-type]
    assert not any(effect.startswith("COPY") for effect in fake.effects)
    (row,) = fake.values_of("INSERT INTO CONTROL.LOADS")
    assert row["rows_staged"] == row["failed_staged"] == row["rows_inserted"] == 0
    assert not any(text.startswith(("MERGE INTO CORE.EVENTS", "INSERT INTO PUBLISH")) for text, _ in fake.statements)


def test_what_landed_must_be_what_the_manifests_say() -> None:
    fake = connection(landed=(9, 2))
    with pytest.raises(TerminalError, match=r"COPY of events for events-0000000001 landed 9 rows, 10 were staged"):
        load(Warehouse(fake), [manifest()])  # type: ignore[arg-type]
    assert "BEGIN" not in fake.effects
    assert [effect.split()[0] for effect in fake.effects[-2:]] == ["DROP", "DROP"]


def test_a_failed_merge_rolls_back_and_drops_its_tables() -> None:
    fake = connection(**{"MERGE INTO CORE.EVENTS": ProgrammingError("Duplicate row", errno=100090)})
    with pytest.raises(TerminalError, match="MERGE into EVENTS"):
        load(Warehouse(fake), [manifest()])  # type: ignore[arg-type]
    assert "COMMIT" not in fake.effects
    assert [effect.split()[0] for effect in fake.effects[-3:]] == ["ROLLBACK", "DROP", "DROP"]


def test_an_ambiguous_commit_is_transient_and_the_first_error_is_the_one_seen() -> None:
    lost = OperationalError("connection lost", errno=250001)
    fake = connection(COMMIT=lost, ROLLBACK=lost, **{"DROP TABLE": lost})
    with pytest.raises(TransientError, match="at COMMIT"):
        load(Warehouse(fake), [manifest()])  # type: ignore[arg-type]


def test_what_another_load_brought_meanwhile_is_not_brought_again() -> None:
    fake = connection(**{
        "SELECT COALESCE(MIN(l.SEQUENCE)": [(3,)],
        "SELECT SEQUENCE FROM CONTROL.LOADS": [(5,)],
    })  # fmt: skip
    with pytest.raises(TransientError, match=r"another load brought plans \[1\]"):
        load(Warehouse(fake), [manifest()])  # type: ignore[arg-type]
    assert not any(effect.startswith("MERGE") for effect in fake.effects)
    assert "ROLLBACK" in fake.effects


def test_a_writer_without_a_lock_row_is_a_matter_of_set_up() -> None:
    fake = connection(**{"UPDATE CONTROL.WRITER_LOCKS": [(0,)]})
    with pytest.raises(SetupError, match="apply the migrations"):
        load(Warehouse(fake), [manifest()])  # type: ignore[arg-type]
    assert not any(effect.startswith("MERGE") for effect in fake.effects)


@pytest.mark.parametrize(("first", "loaded", "latest", "missing"), [
    (1, [], 3, [1, 2, 3]), (4, [], 3, []), (2, [3, 5], 6, [2, 4, 6]), (1, [2], 1, [1]),
])  # fmt: skip
def test_missing_is_what_the_ledger_does_not_have(
    first: int, loaded: list[int], latest: int, missing: list[int]
) -> None:
    fake = RecordingConnection({
        "SELECT COALESCE(MIN(l.SEQUENCE)": [(first,)],
        "SELECT SEQUENCE FROM CONTROL.LOADS": [(sequence,) for sequence in loaded],
    })  # fmt: skip
    assert missing_sequences(Warehouse(fake), "events", latest) == missing  # type: ignore[arg-type]


def test_leftovers_of_killed_loads_are_dropped() -> None:
    fake = RecordingConnection({"SELECT TABLE_NAME": [("L_1_EVENTS",), ("L_1_FAILED",)]})
    assert sweep_landing(Warehouse(fake)) == 2  # type: ignore[arg-type]
    assert fake.effects[1:] == ["DROP TABLE IF", "DROP TABLE IF"]


def test_dates_of_a_manifest_are_those_of_its_files() -> None:
    assert manifest().dates == {"2026-11-22", "2026-11-23"}
    assert {date.fromisoformat(day) for day in manifest().dates}
