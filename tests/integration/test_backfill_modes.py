"""The modes of a backfill on real parts: what each changes, what it leaves alone, and what is recorded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from include import publishing, upgrades, warehouse
from include.backfill.record import Run
from include.backfill.repair import Hour
from include.backfill.wish import Wish
from include.contract import event as contract
from include.destinations.amplitude import Amplitude
from include.errors import SetupError, TerminalError
from include.lake import sealed
from include.settling import settle
from tests.integration.pipeline import KilledError, Pipeline, event, injected, request

pytestmark = pytest.mark.usefixtures("gx")
HOUR = datetime(2026, 11, 23, 10, tzinfo=UTC)
EVENTS = "SELECT EVENT_ID, EVENT_NAME, BATCH_ID, KAFKA_PARTITION, KAFKA_OFFSET, LOADED_AT FROM CORE.EVENTS ORDER BY 1"
RECORDS = (
    "SELECT MODE, REASON, STATE, EVENTS_BEFORE, EVENTS_AFTER, FAILED_BEFORE, FAILED_AFTER"
    " FROM CONTROL.BACKFILLS ORDER BY STARTED_AT"
)
NO_TWINS = {"reopened": 0, "closed": 0}
AMPLITUDE = Amplitude("http://127.0.0.1:9", "key", "secret")


class Vendor(Amplitude):
    """Confirms nothing; its stand-in has tests of its own."""

    def exported(self, start: datetime, end: datetime) -> Any:
        return iter(())


@pytest.fixture(autouse=True)
def _no_records(pipe: Pipeline) -> None:
    pipe.rows("DELETE FROM CONTROL.BACKFILLS")


def fill(pipe: Pipeline, count: int = 3) -> list[str]:
    """Stage two plans of good and bad events with a duplicate across them; returns the ids of the good ones."""
    good = [f"e-{number}" for number in range(2 * count)]
    for number in range(2):
        mine = good[number * count : (number + 1) * count]
        pipe.produce(request(*map(event, mine), event(f"bad-{number}", platform="symbian"), event("e-0")))
        pipe.stage()
    return good


def run(pipe: Pipeline, mode: Any, **wishes: Any) -> dict[str, int]:
    """Run a mode over the plans that there are, as settle_hour does, and reconcile the hour behind it."""
    sequences = numbers(pipe)
    asked = Wish(mode, wishes.pop("reason", "because of a test"), "somebody", **wishes)
    with pipe.warehouse() as connected:
        hour = Hour(pipe.lake, connected, pipe.kafka, pipe.settings, pipe.known)
        done = hour.repair(asked, Run("run-1", datetime.now(UTC), HOUR), sequences)
        if asked.changes:
            hops = settle(pipe.lake, connected, Vendor("http://127.0.0.1:9", "key", "secret"), HOUR, sequences)
            assert [hop.name for hop in hops if hop.unexplained and hop.name != "warehouse_to_amplitude"] == []
    return done


def numbers(pipe: Pipeline) -> list[int]:
    return list(range(1, 1 + len(pipe.blobs("plans/"))))


def offer(pipe: Pipeline) -> int:
    with pipe.warehouse() as connected:
        return publishing.offer(connected, AMPLITUDE, pipe.settings)


def test_a_rehearsal_writes_nothing_and_says_what_each_mode_would_do(
    pipe: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    fill(pipe)
    before = pipe.everything()
    with caplog.at_level(logging.INFO):
        totals = run(pipe, "check", reason="")
    assert pipe.everything() == before
    assert pipe.rows(RECORDS) == []
    assert totals == {
        "plans": 2, "events": 8, "failed": 2, "lost_files": 0, "heal_batches": 2, "reload_batches": 2,
        "restate_batches": 0, "redrive_batches": 2,
    }  # fmt: skip
    assert "heal: 2 batches, 10 events" in caplog.text


def test_healing_loads_these_plans_only_and_offers_nothing_unless_asked(pipe: Pipeline) -> None:
    good = fill(pipe)
    pipe.produce(request(event("of-another-hour")))
    pipe.stage()
    pipe.blobs()
    with pipe.warehouse() as connected:
        hour = Hour(pipe.lake, connected, pipe.kafka, pipe.settings, pipe.known)
        done = hour.repair(Wish("heal", "why", "who"), Run("run-1", HOUR, HOUR), [1, 2])
    assert done == {"sealed": 0, "loaded": 2, **NO_TWINS}
    assert pipe.event_ids() == good
    assert pipe.load()["batches"] == 1
    assert offer(pipe) == 1, "what the live load brought goes to the vendor, what the backfill brought does not"
    assert run(pipe, "heal", publish=True) == {"sealed": 0, "loaded": 0, **NO_TWINS, "to_publish": 6}
    assert run(pipe, "heal", publish=True) == {"sealed": 0, "loaded": 0, **NO_TWINS, "to_publish": 0}
    assert (offer(pipe), offer(pipe)) == (6, 0)
    shown = pipe.rows('SELECT "insert_id" FROM PUBLISH.AMPLITUDE_EVENTS ORDER BY 1')
    assert [row[0] for row in shown] == sorted(f"phone-app:{one}" for one in [*good, "of-another-hour"])
    assert pipe.rows(RECORDS)[0] == ("heal", "why", "done", 0, 6, 0, 2)


def test_reloading_brings_back_what_somebody_deleted_and_touches_nothing_else(pipe: Pipeline) -> None:
    good = fill(pipe)
    pipe.load()
    assert offer(pipe) == len(good)
    before = {row[0]: row for row in pipe.rows(EVENTS)}
    pipe.rows("DELETE FROM CORE.EVENTS WHERE EVENT_ID IN ('e-1', 'e-4')")
    pipe.rows("DELETE FROM CORE.FAILED_EVENTS WHERE EVENT_ID = 'bad-0'")
    done = run(pipe, "reload")
    assert (done["rows_inserted"], done["failed_inserted"]) == (2, 1)
    after = {row[0]: row for row in pipe.rows(EVENTS)}
    assert sorted(after) == good
    assert [one for one in good if after[one] != before[one]] == ["e-1", "e-4"]
    assert offer(pipe) == 0
    assert pipe.rows(RECORDS) == [("reload", "because of a test", "done", 4, 6, 1, 2)]
    assert run(pipe, "reload")["rows_inserted"] == 0


def test_a_wiped_ledger_and_a_wiped_table_are_made_good_by_a_reload(pipe: Pipeline) -> None:
    good = fill(pipe)
    pipe.load()
    pipe.rows("DELETE FROM CONTROL.LOADS")
    pipe.rows("DELETE FROM CORE.EVENTS")
    run(pipe, "reload")
    assert pipe.event_ids() == good
    assert pipe.load()["batches"] == 0


def drop_dots(table: pa.Table) -> pa.Table:
    """The step of contract version 2 in these tests: names lose their dots."""
    names = pc.replace_substring(table["event_name"].cast(pa.string()), ".", "_")
    return table.set_column(table.column_names.index("event_name"), "event_name", names)


@pytest.fixture
def version_2(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Contract version 2 as if it had been deployed after the plans were made."""
    monkeypatch.setattr(contract, "CONTRACT_VERSION", 2)
    monkeypatch.setattr(upgrades, "UPGRADES", {1: drop_dots})
    return monkeypatch


def expire(pipe: Pipeline, ends: Mapping[int, int]) -> None:
    """Let Kafka forget what lies before these offsets."""
    admin = AdminClient(pipe.kafka)
    wanted = [TopicPartition(pipe.topic, partition, end) for partition, end in ends.items()]
    for future in admin.delete_records(wanted).values():
        future.result(timeout=20)


def dotted(pipe: Pipeline) -> list[str]:
    good = ["e-0", "e-1", "e-2"]
    pipe.produce(request(*(event(one, event_name="screen.viewed") for one in good), event("bad", platform="symbian")))
    pipe.stage()
    pipe.load()
    return good


def test_restating_from_the_lake_replaces_every_row_once(pipe: Pipeline, version_2: pytest.MonkeyPatch) -> None:
    with version_2.context() as patch:
        patch.setattr(contract, "CONTRACT_VERSION", 1)
        good = dotted(pipe)
    expire(pipe, {0: 1})
    before, survived = pipe.rows(EVENTS), pipe.blobs()
    done = run(pipe, "restate")
    assert (done["from_kafka"], done["from_lake"], done["replaced"]) == (0, 1, 1)
    after = pipe.rows(EVENTS)
    assert [row[0] for row in after] == good
    assert {row[1] for row in after} == {"screen_viewed"}
    assert [row[2:5] for row in after] == [row[2:5] for row in before], "lineage stays"
    assert survived.items() <= pipe.blobs().items(), "what was sealed is left alone"
    assert any(name.startswith("events/v2/") for name in pipe.blobs())
    assert run(pipe, "restate")["replaced"] == 0
    assert pipe.rows(EVENTS) == after
    versions = "SELECT CONTRACT_VERSION, COALESCE(KIND, 'load') FROM CONTROL.LOADS ORDER BY 1"
    assert pipe.rows(versions) == [(1, "load"), (2, "restate")]
    assert pipe.load()["batches"] == 0
    assert offer(pipe) == len(good), "offered once, by the first load"


def test_restating_takes_the_clients_bytes_where_kafka_still_has_them(
    pipe: Pipeline, version_2: pytest.MonkeyPatch
) -> None:
    with version_2.context() as patch:
        patch.setattr(contract, "CONTRACT_VERSION", 1)
        good = dotted(pipe)
    done = run(pipe, "restate")
    assert (done["from_kafka"], done["from_lake"], done["replaced"]) == (1, 0, 1)
    assert [row[:2] for row in pipe.rows(EVENTS)] == [(one, "screen.viewed") for one in good]


KILLED: dict[str, tuple[Any, str]] = {
    "before the new files are sealed": (warehouse.Warehouse, "insert"),
    "in the transaction": (warehouse, "_ledger_rows"),
    "before anything is landed": (warehouse, "land"),
}


@pytest.mark.parametrize("point", KILLED)
def test_a_restatement_that_was_killed_is_completed(pipe: Pipeline, version_2: pytest.MonkeyPatch, point: str) -> None:
    with version_2.context() as patch:
        patch.setattr(contract, "CONTRACT_VERSION", 1)
        good = dotted(pipe)
    expire(pipe, {0: 1})
    old = pipe.rows(EVENTS)
    with version_2.context() as patch:
        injected(patch, *KILLED[point])
        with pytest.raises(KilledError):
            run(pipe, "restate")
    assert pipe.rows(EVENTS) == old, "readers never see a hole"
    run(pipe, "restate")
    assert [row[:2] for row in pipe.rows(EVENTS)] == [(one, "screen_viewed") for one in good]
    assert [row[2] for row in pipe.rows(RECORDS)] == ["failed", "done"]


def test_a_missing_step_between_versions_is_named(pipe: Pipeline, version_2: pytest.MonkeyPatch) -> None:
    with version_2.context() as patch:
        patch.setattr(contract, "CONTRACT_VERSION", 1)
        dotted(pipe)
    expire(pipe, {0: 1})
    version_2.setattr(upgrades, "UPGRADES", {})
    with pytest.raises(SetupError, match="write the step from 1 to 2"):
        run(pipe, "restate")
    assert [row[2] for row in pipe.rows(RECORDS)] == ["failed"]


def test_an_altered_file_is_detected(pipe: Pipeline, version_2: pytest.MonkeyPatch) -> None:
    with version_2.context() as patch:
        patch.setattr(contract, "CONTRACT_VERSION", 1)
        dotted(pipe)
    expire(pipe, {0: 1})
    (manifest,) = sealed(pipe.lake, [1])
    (name,) = manifest.names("events")
    pipe.container.upload_blob(name, b"PAR1 something else", overwrite=True)
    with pytest.raises(TerminalError, match="another checksum than its manifest says"):
        run(pipe, "restate")


def test_only_batches_with_events_of_the_wanted_dates_are_concerned(pipe: Pipeline) -> None:
    pipe.produce(request(event("old", occurred_at="2026-09-01T00:00:00Z")))
    pipe.stage()
    pipe.produce(request(event("new", occurred_at="2026-11-20T00:00:00Z")))
    pipe.stage()
    pipe.load()
    pipe.rows("DELETE FROM CORE.EVENTS")
    with pipe.warehouse() as connected:
        hour = Hour(pipe.lake, connected, pipe.kafka, pipe.settings, pipe.known)
        asked = Wish("reload", "why", occurred_to=datetime(2026, 9, 2, tzinfo=UTC).date())
        hour.repair(asked, Run("run-1", HOUR, HOUR), [1, 2])
    assert pipe.event_ids() == ["old"]


def test_a_redrive_and_its_publication_are_one_backfill(pipe: Pipeline) -> None:
    pipe.produce(request(event("known"), event("stranger-1")), request(event("stranger-2"), source_id="new-app"))
    pipe.stage()
    pipe.load()
    assert pipe.event_ids() == ["known", "stranger-1"]
    pipe.known = (*pipe.known, "new-app")
    done = run(pipe, "redrive", publish=True)
    assert (done["redriven"], done["to_publish"]) == (1, 1)
    assert pipe.event_ids() == ["known", "stranger-1", "stranger-2"]
    assert run(pipe, "redrive", publish=True)["redriven"] == 0
    assert offer(pipe) == 3


def test_what_was_redriven_stays_when_its_batch_is_restated(pipe: Pipeline, version_2: pytest.MonkeyPatch) -> None:
    with version_2.context() as patch:
        patch.setattr(contract, "CONTRACT_VERSION", 1)
        pipe.produce(request(event("stranger", event_name="screen.viewed"), source_id="new-app"))
        pipe.stage()
        pipe.load()
        pipe.known = (*pipe.known, "new-app")
        run(pipe, "redrive")
    expire(pipe, {0: 1})
    run(pipe, "restate")
    assert pipe.event_ids() == ["stranger"]
    assert pipe.failed("RESOLUTION") == [("redriven",)]
