"""The smoke run's comparison on real parts: all equal when whole, and each hop that is broken on purpose is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from include.lake import manifest_name
from include.manifest import Manifest
from local.reader import EventKey
from local.smoke.compare import Hop, Posted, compare, insert_id
from local.smoke.known_set import Ledger, known_requests, post
from local.smoke.scope import Scope
from tests.integration.in_process_pipeline import Pipeline

pytestmark = pytest.mark.usefixtures("gx")


class Run:
    """One known set on its way."""

    def __init__(self, whole_way: Pipeline, seed: int) -> None:
        self.pipeline, self.scope, ledger = whole_way, Scope.now(whole_way.stack.endpoints), Ledger()
        first, again = known_requests(seed, 1_500)
        post([*first, *again], whole_way.stack.endpoints, ledger)
        self.posted = ledger.posted()

    def keys(self, *, valid: bool, consented: bool = True) -> list[EventKey]:
        def fits(event: Posted) -> bool:
            return event.is_valid is valid and event.is_consented is consented

        return sorted(key for key, event in self.posted.items() if fits(event))

    def compared(self) -> dict[str, Hop]:
        return {hop.name: hop for hop in compare(self.posted, self.scope.read(self.posted))}

    def different(self) -> dict[str, Hop]:
        return {name: hop for name, hop in self.compared().items() if not hop.is_equal}


@pytest.fixture
def run(whole_way: Pipeline, request: pytest.FixtureRequest) -> Run:
    # Another set for every test: what one broke must not show in the next.
    return Run(whole_way, seed=sum(request.node.name.encode()))


def _sql(run: Run, sql: str, key: EventKey, other: str = "") -> None:
    """Run a statement on the rows of one event."""
    values = {"source": key[0], "event": key[1], "other": other}
    run.pipeline.warehouse.run(f"{sql} WHERE SOURCE_ID = %(source)s AND EVENT_ID = %(event)s", values, "breaking a hop")


def test_whole_way_is_equal_and_had_something_of_everything_until_rows_are_broken(run: Run) -> None:
    run.pipeline.run()
    hops = run.compared()
    assert [hop for hop in hops.values() if not hop.is_equal] == []
    assert all(hop.found > 0 for name, hop in hops.items() if name != "sent to the vendor twice")
    assert max(event.acknowledged for event in run.posted.values()) == 2
    assert hops["valid and consented → vendor"].expected < hops["valid → EVENTS"].expected < len(run.posted)

    valid, bad = run.keys(valid=True), [*run.keys(valid=False), *run.keys(valid=False, consented=False)]
    lost, failed = next((one, other) for other in bad for one in valid if one[0] == other[0])
    deleted, twice = [key for key in valid if key != lost][:2]
    _sql(run, "DELETE FROM CORE.EVENTS", deleted)
    _sql(run, "INSERT INTO CORE.EVENTS SELECT * FROM CORE.EVENTS", twice)
    _sql(
        run, "INSERT INTO CORE.EVENTS SELECT * REPLACE (%(other)s AS EVENT_ID) FROM CORE.EVENTS", lost, other=failed[1]
    )
    _in_vendor(run, lambda vendor: vendor.execute("DELETE FROM events WHERE insert_id = ?", (insert_id(lost),)))

    different = run.different()
    assert list(different) == ["valid → EVENTS", "valid and consented → vendor"]
    events = different["valid → EVENTS"]
    assert events.missing == (insert_id(deleted),)
    assert events.too_often == (insert_id(twice),)
    assert events.unexpected == (insert_id(failed),)
    assert different["valid and consented → vendor"].missing == (insert_id(lost),)


def test_what_is_hidden_from_the_vendor_and_what_it_must_not_see(run: Run) -> None:
    run.pipeline.stage()
    run.pipeline.load()
    secret = run.keys(valid=True, consented=False)[0]
    _sql(run, "UPDATE CORE.EVENTS SET CONSENT = OBJECT_CONSTRUCT('analytics', TRUE)", secret)
    run.pipeline.offer()
    hidden = run.keys(valid=True)[5]
    _sql(run, "DELETE FROM PUBLISH.AMPLITUDE_OUTBOX", hidden)
    run.pipeline.let_vendor_import()
    different = run.different()
    assert list(different) == ["valid and consented → vendor"]
    assert different["valid and consented → vendor"].missing == (insert_id(hidden),)
    assert different["valid and consented → vendor"].unexpected == (insert_id(secret),)


def test_event_sent_to_the_vendor_twice(run: Run) -> None:
    run.pipeline.run()
    again = run.keys(valid=True)[2]
    # The same row under a later watermark, as a publisher without delivery memory would write it.
    later = "* REPLACE (DATEADD(SECOND, 1, PUBLISHED_AT) AS PUBLISHED_AT) FROM PUBLISH.AMPLITUDE_OUTBOX"
    _sql(run, "INSERT INTO PUBLISH.AMPLITUDE_OUTBOX SELECT " + later, again)
    run.pipeline.warehouse.run("UPDATE PUBLISH.WATERMARKS SET PUBLISHED_AT = DATEADD(SECOND, 2, PUBLISHED_AT)")
    run.pipeline.let_vendor_import()
    assert list(run.different()) == ["sent to the vendor twice"]


def test_lake_file_that_is_left_out(run: Run) -> None:
    (sequence,) = run.pipeline.stage()
    plan = run.pipeline.lake.read(sequence)
    assert plan is not None
    manifest = run.pipeline.lake.get(manifest_name(plan), Manifest)
    assert manifest is not None
    skipped = next(file for file in manifest.files if file.kind == "events")
    kept = tuple(file for file in manifest.files if file != skipped)
    forged = msgspec.structs.replace(manifest, files=kept, rows=manifest.rows - skipped.rows)
    run.pipeline.lake.container.upload_blob(manifest_name(plan), msgspec.json.encode(forged), overwrite=True)
    run.pipeline.load()
    run.pipeline.offer()
    run.pipeline.let_vendor_import()
    different = run.different()
    assert list(different) == ["Kafka → lake", "valid → EVENTS", "valid and consented → vendor"]
    assert different["Kafka → lake"].missing
    assert set(different["valid → EVENTS"].missing) <= set(different["Kafka → lake"].missing)


def test_acknowledged_request_that_kafka_lost(run: Run) -> None:
    servers = run.pipeline.stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
    run.pipeline.run()
    partition, first = next(iter(run.scope.begin.items()))
    lost = TopicPartition("events", partition, first + 1)
    admin = AdminClient({"bootstrap.servers": servers})
    admin.delete_records([lost])[lost].result(timeout=10)
    different = run.different()
    assert different["acknowledged → Kafka"].missing
    assert different["Kafka → lake"].too_often or different["Kafka → lake"].unexpected


def _in_vendor(run: Run, do: Callable[[sqlite3.Connection], object]) -> None:
    folder = Path(run.pipeline.stack.endpoints["LOCAL_AMPLITUDE_DIR"])
    with closing(sqlite3.connect(folder / "amplitude.sqlite", timeout=10)) as database, database:
        do(database)
