"""The order of a redrive's effects: files before COPY, COPY before BEGIN, rows resolved in the merge's transaction."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from include import redriving
from include.errors import TerminalError
from include.lake import Lake
from include.manifest import StagedFile
from include.rejudging import FailedRow, Verdict
from include.warehouse import Warehouse
from tests.unit.include.fakes import SETTINGS, RecordingConnection, body_of, chunk_of, good_event

MOMENT = datetime(2026, 11, 23, 10, 1, 2, 345678)  # noqa: DTZ001 - as SYSDATE() answers
PLAN = "events-0000000007"
ROW = ("place", PLAN, 3, 100, 0, MOMENT, bytearray(b"{}"), "sha", "{}")
TABLE = chunk_of(body_of(good_event(), good_event(event_id="e-2", occurred_at=None))).table()


class FakeFile:
    """A file of the fake lake."""

    def __init__(self, lake: FakeLake, name: str) -> None:
        self.lake, self.name, self.rows = lake, name, 0

    def write(self, table: pa.Table) -> None:
        self.rows += len(table)

    def close(self, kind: str, partition: int, occurred_on: tuple[str, ...] = ()) -> StagedFile:
        self.lake.files.append(StagedFile(self.name, kind, partition, self.rows, 1, "", occurred_on))
        return self.lake.files[-1]


class FakeLake(Lake):
    """Remembers which files were written."""

    def __init__(self) -> None:
        self.files: list[StagedFile] = []

    def parquet(self, name: str) -> Any:
        return FakeFile(self, name)


def connection(landed: int = 2, left: int = 2, **answers: Any) -> RecordingConnection:
    """A warehouse with one page of failed rows, of which every second one was brought by itself."""
    pages = iter([[ROW], []])
    counts = iter([landed, left, 0])
    return RecordingConnection({
        "SELECT COUNT(*), COUNT_IF": [(5, 2)],
        "SELECT PLACE": lambda values: [] if values["whole"] else next(pages),
        "SELECT COUNT(*) FROM LANDING": lambda _: [(next(counts),)],
        "UPDATE CONTROL.WRITER_LOCKS": [(1,)],
        "SELECT SYSDATE()": [(MOMENT,)],
        "SELECT RESOLUTION": [("redriven", 1)],
        "SELECT BATCH_ID, COUNT(*)": [(PLAN, 1)],
        **answers,
    })  # fmt: skip


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[list[FailedRow]]:
    """What was handed to the suite, which finds both events valid."""
    found: list[list[FailedRow]] = []

    def judge(rows: list[FailedRow], _known: Any) -> Verdict:
        found.append(rows)
        return Verdict(valid=[TABLE])

    monkeypatch.setattr(redriving, "judge", judge)
    return found


def redrive(fake: RecordingConnection, lake: FakeLake) -> dict[str, int]:
    return redriving.redrive(lake, Warehouse(fake), SETTINGS, ["phone-app"], [PLAN])  # type: ignore[arg-type]


def test_rows_are_resolved_in_the_transaction_that_merges_their_events(judged: list[list[FailedRow]]) -> None:
    fake, lake = connection(), FakeLake()
    found = redrive(fake, lake)
    begin = fake.effects.index("BEGIN")
    assert [effect.split()[0] for effect in fake.effects[begin - 4 : begin]] == ["CREATE", "COPY", "SELECT", "CREATE"]
    assert [" ".join(effect.split()[:2]) for effect in fake.effects[begin:-2]] == [
        "BEGIN", "UPDATE CONTROL.WRITER_LOCKS", "SELECT SYSDATE()", "DELETE FROM", "SELECT COUNT(*)", "DELETE FROM",
        "SELECT COUNT(*)", "MERGE INTO", "MERGE INTO", "SELECT RESOLUTION,", "SELECT BATCH_ID,", "COMMIT",
        "DROP TABLE", "DROP TABLE",
    ]  # fmt: skip
    merges = [text.split()[2] for text, _ in fake.statements if text.startswith("MERGE")]
    assert merges == ["CORE.EVENTS", "CORE.FAILED_EVENTS"]
    assert not any("PUBLISH.OUTBOX" in text for text, _ in fake.statements if not text.startswith("SELECT"))
    assert found == {
        "looked_at": 6, "redriven": 1, "twin": 0, "still_failed": 1, "without_envelope": 3, "not_client_bytes": 2,
        "damaged": 0, "events": 1,
    }  # fmt: skip
    assert judged[0][0].raw == b"{}"


def test_the_file_has_the_plan_and_the_hash_of_its_rows_in_its_name(judged: list[list[FailedRow]]) -> None:
    names = []
    for _ in range(2):
        lake = FakeLake()
        redrive(connection(), lake)
        (file,) = lake.files
        names.append(file.name)
    assert names[0] == names[1]
    assert names[0].startswith(f"events/v1/redrive/{PLAN}/")
    assert file.occurred_on == ("1970-01-01", "2026-11-23")
    assert len(judged) == 2


def test_what_another_redrive_resolved_meanwhile_is_no_failure_of_this_one(judged: list[list[FailedRow]]) -> None:
    answers: dict[str, Any] = {"SELECT RESOLUTION": [], "SELECT BATCH_ID, COUNT(*)": []}
    found = redrive(connection(left=0, **answers), FakeLake())
    assert (found["still_failed"], found["redriven"], found["events"]) == (0, 0, 0)
    assert judged


def test_what_landed_must_be_what_was_staged(judged: list[list[FailedRow]]) -> None:
    fake = connection(landed=1)
    with pytest.raises(TerminalError, match=rf"COPY of events for a redrive of {PLAN} .* landed 1 rows, 2 were staged"):
        redrive(fake, FakeLake())
    assert "BEGIN" not in fake.effects
    assert [effect.split()[0] for effect in fake.effects[-2:]] == ["DROP", "DROP"]
    assert judged


def test_where_nothing_is_valid_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "judge", lambda rows, _known: Verdict(counts=Counter(still_failed=len(rows))))
    fake, lake = connection(), FakeLake()
    assert redrive(fake, lake)["still_failed"] == 1
    assert {effect.split()[0] for effect in fake.effects} == {"SELECT"}
    assert lake.files == []
