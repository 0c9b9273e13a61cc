"""Stage, load, offer, settle on real parts: ids compared at each hop, and every step run again changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec
import pytest
import requests

from include import loading, publishing, settling
from include.connections import connection
from include.contract import edge
from include.contract.compression import inflate
from include.contract.event import derived_event_id
from include.contract.splitting import split
from include.destinations.amplitude import Amplitude
from include.manifest import Manifest
from include.plans import latest
from local.stack import Stack
from local.traffic import PlannedRequest, TrafficConfig, generate
from tests.integration.pipeline import Pipeline, Request, enveloped

pytestmark = pytest.mark.usefixtures("gx")
MANY = 60


def traffic(seed: int) -> list[PlannedRequest]:
    config = TrafficConfig(
        seed=seed, start=datetime.now(UTC) - timedelta(minutes=10), malformed_ratio=0.08, without_id_ratio=0.03,
        retry_ratio=0.2, unconsented_ratio=0.3,
    )  # fmt: skip
    return list(islice(generate(config), MANY))


def sent(planned: list[PlannedRequest]) -> list[Request]:
    return [
        enveloped(inflate(one.body, 10**8), one.source_id, number % 4, one.due_at) for number, one in enumerate(planned)
    ]


def ids(planned: list[PlannedRequest], *expected: str, consented: bool = False) -> set[tuple[str, str]]:
    """Return (source, event id) of the events that were meant so; an event without an id has the derived one."""
    found = set()
    for one in planned:
        for event, raw in zip(one.events, split(inflate(one.body, 10**8)), strict=True):
            if event.expected in expected and (event.consented or not consented):
                found.add((one.source_id, event.event_id or derived_event_id(one.source_id, raw)))
    return found


def pairs(pipe: Pipeline, sql: str) -> list[tuple[str, str]]:
    return [(str(source), str(event_id)) for source, event_id in pipe.rows(sql)]


@pytest.fixture
def vendor(amplitude: Stack) -> Amplitude:
    spec = connection("amplitude", amplitude.endpoints)
    return Amplitude(spec.host, spec.login, spec.password)


def offer(pipe: Pipeline, vendor: Amplitude) -> int:
    with pipe.warehouse() as warehouse:
        return publishing.offer(warehouse, vendor, pipe.settings)


def push(pipe: Pipeline, vendor: Amplitude) -> dict[str, int]:
    with pipe.warehouse() as warehouse:
        return publishing.push(warehouse, vendor, pipe.settings)


def settle(pipe: Pipeline, vendor: Amplitude, hour: datetime) -> dict[str, int]:
    sequences = settling.coverage(pipe.lake, (hour, hour + timedelta(hours=2)), wait_s=-1)
    with pipe.warehouse() as warehouse:
        healed = settling.heal(pipe.lake, warehouse, pipe.kafka, pipe.settings, pipe.known, sequences)
        assert healed == {"sealed": 0, "loaded": 0}
        hops = settling.settle(pipe.lake, warehouse, vendor, hour, sequences)
    return {hop.name: hop.unexplained for hop in hops}


def covered(pipe: Pipeline) -> datetime:
    """Let the chain pass its hour, and return the hour of its first plan."""
    newest = latest(pipe.lake)
    assert newest is not None
    begin = newest.interval_start.replace(minute=0, second=0, microsecond=0)
    passed = (begin + timedelta(hours=2), begin + timedelta(hours=2, minutes=1))
    empty = msgspec.structs.replace(
        newest, sequence=newest.sequence + 1, interval_start=passed[0], interval_end=passed[1],
        ranges=tuple(msgspec.structs.replace(part, start=part.end) for part in newest.ranges),
    )  # fmt: skip
    assert pipe.lake.create(empty)
    return begin


def at_the_vendor(amplitude: Stack, wanted: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the insert ids that the stand-in has of those that are asked for."""
    text = requests.get(f"{amplitude.endpoints['LOCAL_URL_AMPLITUDE']}/_standin/insert_ids", timeout=30).text
    mine = {f"{source}:{event_id}" for source, event_id in wanted}
    return (line for line in text.splitlines() if line in mine)


def test_ids_are_the_same_at_every_hop_and_each_step_again_changes_nothing(
    pipe: Pipeline, vendor: Amplitude, amplitude: Stack
) -> None:
    planned = traffic(11)
    pipe.produce(*sent(planned))
    interval = pipe.now()
    work = pipe.stage(interval)
    valid, failed = ids(planned, "valid"), ids(planned, "failed")
    assert len(valid) > 500
    assert len(failed) > 20

    totals = pipe.load()
    assert set(pairs(pipe, "SELECT SOURCE_ID, EVENT_ID FROM CORE.EVENTS")) == valid
    assert set(pairs(pipe, "SELECT SOURCE_ID, EVENT_ID FROM CORE.FAILED_EVENTS")) == failed
    assert totals["rows_inserted"] == len(valid), "each once, though requests were repeated"
    assert totals["rows_staged"] + totals["failed_staged"] == sum(len(one.events) for one in planned)

    consented = ids(planned, "valid", consented=True)
    assert offer(pipe, vendor) == len(consented) < len(valid)
    assert set(pairs(pipe, "SELECT SOURCE_ID, EVENT_ID FROM PUBLISH.DELIVERIES")) == consented
    shown = [row[0] for row in pipe.rows('SELECT "insert_id" FROM PUBLISH.AMPLITUDE_EVENTS')]
    assert sorted(shown) == sorted(f"{source}:{event_id}" for source, event_id in consented)

    assert push(pipe, vendor) == {"taken": len(consented), "refused": 0}
    assert sorted(at_the_vendor(amplitude, valid | failed)) == sorted(shown)
    hour = covered(pipe)
    pipe.seal([{"sequence": 2}])
    pipe.load()
    offer(pipe, vendor)
    assert set(settle(pipe, vendor, hour).values()) == {0}

    before = pipe.everything()
    assert pipe.plan(interval) == work
    pipe.drain(work)
    pipe.seal(work)
    assert pipe.load()["batches"] == 0
    assert offer(pipe, vendor) == 0
    assert push(pipe, vendor) == {"taken": 0, "refused": 0}
    assert set(settle(pipe, vendor, hour).values()) == {0}
    assert pipe.everything() == before
    assert sorted(at_the_vendor(amplitude, valid | failed)) == sorted(shown)


def test_group_offsets_show_what_is_loaded(pipe: Pipeline) -> None:
    planned = traffic(12)[:8]
    pipe.produce(*sent(planned))
    pipe.stage()
    with pipe.warehouse() as warehouse:
        assert loading.commit_loaded(pipe.lake, warehouse, pipe.kafka, pipe.settings) == {}
        loading.load_sealed(pipe.lake, warehouse, pipe.settings)
        for _ in range(2):
            ends = loading.commit_loaded(pipe.lake, warehouse, pipe.kafka, pipe.settings)
            assert ends == {0: 2, 1: 2, 2: 2, 3: 2}


def test_many_plans_and_chunks_give_what_one_of_each_gives(pipe: Pipeline) -> None:
    planned = traffic(13)[:18]
    pipe.produce(*sent(planned))
    small = pipe.with_settings(
        plan_max_envelopes=7, chunk_max_events=90, load_max_files=4, drain_task_envelopes=2, drain_max_tasks=12
    )
    work = small.stage()
    assert len({piece["sequence"] for piece in work}) == 3
    assert max(len(piece["partitions"]) for piece in work) < 4
    totals = small.load()
    assert totals["batches"] == 3
    assert set(pairs(pipe, "SELECT SOURCE_ID, EVENT_ID FROM CORE.EVENTS")) == ids(planned, "valid")
    assert totals["rows_inserted"] == len(ids(planned, "valid"))


def test_the_manifest_says_what_the_files_hold(pipe: Pipeline) -> None:
    planned = traffic(14)
    first = sent(planned)
    pipe.produce(*first, first[0])
    pipe.stage()
    manifest = pipe.lake.get(f"manifests/{pipe.topic}/0000000001.json", Manifest)
    assert manifest is not None
    assert manifest.envelopes == manifest.plan.envelopes == len(planned) + 1
    posted = sum(len(one.events) for one in planned) + len(planned[0].events)
    assert manifest.announced == manifest.rows + manifest.failed == posted
    for file in manifest.files:
        table = pipe.lake.read_table(file.name, ["batch_id"])
        assert len(table) == file.rows
        assert set(table["batch_id"].to_pylist()) == {manifest.plan.plan_id}
        blob = pipe.container.get_blob_client(file.name).get_blob_properties()
        assert (blob.size, blob.metadata["sha256"]) == (file.bytes, file.sha256)
    assert {name for name in pipe.blobs() if name.endswith(".parquet")} == {file.name for file in manifest.files}
    assert 0 < manifest.duplicates <= manifest.rows - len(ids(planned, "valid")), "counted per partition, as a metric"


def test_the_quality_document_names_what_failed(pipe: Pipeline) -> None:
    planned = traffic(15)
    pipe.produce(*sent(planned))
    pipe.stage()
    (name,) = pipe.blobs("quality/")
    document = msgspec.json.decode(pipe.container.download_blob(name).readall())
    assert document["totals"]["rows"] == sum(len(one.events) for one in planned)
    tripped = {tally["config"]["kwargs"]["column"] for tally in document["events"] if tally["unexpected"]}
    assert {"edge", "platform", "event_name"} <= tripped
    assert all(tally["rows"] == document["totals"]["rows"] for tally in document["events"])
    rejected = sum(len(edge.check(inflate(one.body, 10**8)).rejected) for one in planned)
    counted = next(tally for tally in document["events"] if tally["config"]["kwargs"]["column"] == "edge")
    assert counted["unexpected"] == rejected
