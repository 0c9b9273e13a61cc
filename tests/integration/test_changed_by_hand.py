"""What somebody changes by hand is found: a sealed file, a row of the ledger, a copy of an event."""

from __future__ import annotations

import io
import logging
from datetime import UTC, datetime
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from azure.storage.blob import ContentSettings

from include.backfill.rehearsal import Rehearsal, rehearse
from include.errors import TerminalError
from include.lake import sealed
from include.manifest import StagedFile
from include.reconcile import Hop
from include.settling import settle
from tests.integration.pipeline import Pipeline, event, request
from tests.integration.test_backfill_modes import Vendor

pytestmark = pytest.mark.usefixtures("gx")
HOUR = datetime(2026, 11, 23, 10, tzinfo=UTC)


def fill(pipe: Pipeline, plans: int = 2) -> list[int]:
    for number in range(plans):
        pipe.produce(request(event(f"e-{number}"), event(f"f-{number}"), event(f"bad-{number}", platform="symbian")))
        pipe.stage()
    pipe.load()
    return list(range(1, plans + 1))


def check(pipe: Pipeline, sequences: list[int]) -> Rehearsal:
    before = pipe.everything()
    with pipe.warehouse() as warehouse:
        found = rehearse(pipe.lake, warehouse, pipe.kafka, pipe.settings, sequences)
    assert pipe.everything() == before, "a check writes nothing"
    return found


def findings(pipe: Pipeline, sequences: list[int]) -> dict[str, Hop]:
    return {hop.name: hop for hop in check(pipe, sequences).findings}


def settled(pipe: Pipeline, sequences: list[int]) -> dict[str, int]:
    with pipe.warehouse() as warehouse:
        hops = settle(pipe.lake, warehouse, Vendor("http://127.0.0.1:9", "key", "secret"), HOUR, sequences)
    return {hop.name: hop.unexplained for hop in hops}


def events_file(pipe: Pipeline) -> StagedFile:
    (manifest, *_) = sealed(pipe.lake, [1])
    return next(file for file in manifest.files if file.kind == "events")


def altered(pipe: Pipeline, file: StagedFile) -> bytes:
    """Return the file with one letter of one event changed, in the same number of bytes."""
    raw: bytes = pipe.container.download_blob(file.name).readall()
    table = pq.read_table(io.BytesIO(raw))
    changed = raw.replace(b"4.1.0", b"9.1.0")
    assert len(changed) == len(raw) == file.bytes
    assert changed != raw
    assert pc.unique(table["app_version"]).to_pylist() == ["4.1.0"]
    return changed


ALTERATIONS: dict[str, dict[str, Any]] = {
    "by an upload": {},
    "by an upload that keeps our metadata": {"metadata": True},
    "by an upload with another type": {"content_settings": ContentSettings(content_type="application/octet-stream")},
}


@pytest.mark.parametrize("how", ALTERATIONS)
def test_a_file_altered_in_its_size_is_found_before_it_proves_anything(pipe: Pipeline, how: str) -> None:
    sequences = fill(pipe)
    assert findings(pipe, sequences) == {}
    assert settled(pipe, sequences)["manifest_to_lake"] == 0
    file, options = events_file(pipe), dict(ALTERATIONS[how])
    if "metadata" in options:
        options["metadata"] = pipe.container.get_blob_client(file.name).get_blob_properties().metadata
    pipe.container.upload_blob(file.name, altered(pipe, file), overwrite=True, **options)
    found = findings(pipe, sequences)
    assert list(found) == ["manifest_to_lake"]
    hop = found["manifest_to_lake"]
    assert hop.detail == {"gone": 0, "size": 0, "checksum": 1, "example": file.name}
    assert hop.sentence.endswith("see docs/runbooks/manifest-to-lake.md")
    with pytest.raises(TerminalError, match=r"manifest_to_lake expected 4, found 3, .*manifest-to-lake\.md"):
        settled(pipe, sequences)


def test_a_file_that_was_brought_back_without_its_marks_is_the_sealed_one(pipe: Pipeline) -> None:
    sequences = fill(pipe)
    file = events_file(pipe)
    raw = pipe.container.download_blob(file.name).readall()
    pipe.container.upload_blob(file.name, raw, overwrite=True)
    assert findings(pipe, sequences) == {}
    assert settled(pipe, sequences)["manifest_to_lake"] == 0


def test_an_altered_file_is_made_again_by_a_drain_of_its_interval(pipe: Pipeline) -> None:
    sequences = fill(pipe)
    file = events_file(pipe)
    pipe.container.upload_blob(file.name, altered(pipe, file), overwrite=True)
    pipe.drain([{"sequence": 1, "partitions": [0, 1, 2, 3]}])
    assert findings(pipe, sequences) == {}
    assert pipe.container.get_blob_client(file.name).get_blob_properties().size == file.bytes


def test_an_altered_file_is_not_loaded(pipe: Pipeline) -> None:
    pipe.produce(request(event("e-0")))
    pipe.stage()
    file = events_file(pipe)
    pipe.container.upload_blob(file.name, altered(pipe, file), overwrite=True)
    with pytest.raises(TerminalError, match=r"manifest-to-lake\.md"):
        pipe.load()
    assert pipe.event_ids() == []
    pipe.drain([{"sequence": 1, "partitions": [0, 1, 2, 3]}])
    assert pipe.load()["rows_inserted"] == 1
    assert pipe.rows("SELECT APP_VERSION FROM CORE.EVENTS") == [("4.1.0",)]


def test_a_deleted_row_of_the_ledger_is_found_before_and_after_the_load_that_brings_it_back(
    pipe: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    sequences = fill(pipe)
    pipe.produce(request(event("not-loaded-yet")))
    pipe.stage()
    assert findings(pipe, [*sequences, 3]) == {}, "what is merely not loaded is no finding"
    pipe.load()
    pipe.rows("DELETE FROM CONTROL.LOADS WHERE SEQUENCE = 1")
    hop = findings(pipe, [*sequences, 3])["lake_to_ledger"]
    first = f"{pipe.topic}-0000000001"
    assert (hop.expected, hop.actual, hop.unexplained) == (3, 2, 1)
    assert hop.detail == {"missing": 1, "recovered": 0, "example": first}
    assert hop.sentence.endswith("see docs/runbooks/lake-to-ledger.md")
    with caplog.at_level(logging.ERROR):
        assert pipe.load()["rows_inserted"] == 0
    assert f"{first} were in EVENTS and not in CONTROL.LOADS" in caplog.text
    assert "see docs/runbooks/lake-to-ledger.md" in caplog.text
    kinds = pipe.rows("SELECT SEQUENCE, KIND FROM CONTROL.LOADS ORDER BY SEQUENCE")
    assert kinds == [(1, "recovered"), (2, "load"), (3, "load")]
    hop = findings(pipe, [*sequences, 3])["lake_to_ledger"]
    assert (hop.expected, hop.actual, hop.explained, hop.unexplained) == (3, 2, 1, 0)
    assert settled(pipe, sequences)["lake_to_ledger"] == 0
    stored = pipe.rows(
        "SELECT EXPLAINED, DETAIL:example::VARCHAR FROM CONTROL.RECONCILIATION "
        "WHERE HOP = 'lake_to_ledger' AND HOUR = '2026-11-23 10:00:00'"
    )
    assert stored == [(1, first)]


def test_a_batch_of_duplicates_only_is_an_ordinary_load(pipe: Pipeline) -> None:
    fill(pipe, plans=1)
    again = {"occurred_at": "2026-11-22T10:00:00Z"}
    pipe.produce(request(event("e", **again)))
    pipe.stage()
    pipe.load()
    pipe.produce(request(event("e", **again), partition=1))
    pipe.stage()
    pipe.load()
    assert {row[0] for row in pipe.rows("SELECT KIND FROM CONTROL.LOADS")} == {"load"}


@pytest.mark.parametrize("batch", ["BATCH_ID", "'by-hand'"])
def test_a_copy_of_an_event_is_found_by_a_check_too(pipe: Pipeline, batch: str) -> None:
    sequences = fill(pipe)
    pipe.rows(
        f"INSERT INTO CORE.EVENTS SELECT * REPLACE ({batch} AS BATCH_ID) FROM CORE.EVENTS WHERE EVENT_ID = 'e-1'"  # noqa: S608
    )
    found = findings(pipe, sequences)
    assert list(found) == ["events_twice"]
    assert found["events_twice"].actual == 1
    assert found["events_twice"].sentence.endswith("see docs/runbooks/events-twice.md")
    with pytest.raises(TerminalError, match="events_twice expected 0, found 1"):
        settled(pipe, sequences)
