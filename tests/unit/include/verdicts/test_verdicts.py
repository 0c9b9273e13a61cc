"""B7: of every event of a seeded, odd corpus the drain says what an independent reading of the contract says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

import pyarrow as pa
import pytest

from include.blobs import ParquetFile
from include.lake import Lake
from include.manifest import Part
from include.plans import PartitionRange, Plan
from include.quality import SUITES
from include.staging import Stage
from include.topic import Record
from tests.unit.include.verdicts import foreign_reading, reading
from tests.unit.include.verdicts.odd_traffic import KNOWN, RECEIVED, Request, requests

pytestmark = pytest.mark.usefixtures("gx")
READINGS: dict[str, reading.Reading] = {
    "v1": reading.own, "amplitude": foreign_reading.amplitude, "segment": foreign_reading.segment,
}  # fmt: skip
PLAN = Plan(7, "events", "i", "c", RECEIVED, RECEIVED + timedelta(minutes=5), final=True, ranges=())
Verdicts = dict[tuple[int, int], set[str]]


class VerdictsInMemory(Lake):
    """A lake that keeps of each row only its place in Kafka and what it failed on."""

    def __init__(self) -> None:
        self.found: Verdicts = {}

    def parquet(self, name: str) -> ParquetFile:
        return _Rows(self.found)


class _Rows(ParquetFile):
    def __init__(self, found: Verdicts) -> None:
        self.rows, self._found = 0, found

    def write(self, table: pa.Table) -> None:
        self.rows += len(table)
        places = zip(table["kafka_offset"].to_pylist(), table["envelope_index"].to_pylist(), strict=True)
        reasons = table["reasons"].to_pylist() if "reasons" in table.column_names else ["[]"] * len(table)
        for place, reason in zip(places, reasons, strict=True):
            assert place not in self._found, "an event has one row"
            self._found[place] = {one["column"] for one in json.loads(reason)}

    def close(self, kind: str, partition: int, occurred_on: tuple[str, ...] = ()) -> None:
        return None


def drained(corpus: list[Request]) -> Verdicts:
    lake = VerdictsInMemory()
    stage = Stage(lake, PLAN, PartitionRange(3, 0, len(corpus)), Part(3, 0, len(corpus)), KNOWN)
    for offset, request in enumerate(corpus):
        stage.add(_record(offset, request))
        if stage.events_held >= 20_000:
            stage.write()
    stage.close()
    return lake.found


def _record(offset: int, request: Request) -> Record:
    known = {
        "envelope_version": "1", "request_id": "r", "source_id": request.source_id, "dialect": request.dialect,
        "received_at": request.received_at.isoformat(), "content_encoding": "identity",
        "event_count": str(len(request.events)),
    }  # fmt: skip
    optional = {"platform": request.platform, "rejected": json.dumps(dict.fromkeys(request.rejected, "bad"))}
    if not request.rejected:
        del optional["rejected"]
    headers: list[tuple[str, bytes | None]] = [
        (name, text.encode()) for name, text in (known | optional).items() if text
    ]
    return Record(offset, 0, headers, request.body)


def expected(request: Request) -> Iterator[set[str]]:
    about = request._asdict() | {"known": KNOWN}
    for index, raw in enumerate(request.events):
        rejected = index in request.rejected
        try:
            columns = READINGS[request.dialect](raw, about)
        except reading.UnreadableError:
            yield {"decode", "edge"} if rejected else {"decode"}
        else:
            yield reading.failures(columns, about, rejected=rejected)


def gates() -> set[str]:
    suite = json.loads((SUITES / "events.json").read_text())
    return {one["kwargs"]["column"] for one in suite["expectations"] if one["severity"] == "critical"}


def check(seed: int, events: int) -> Counter[str]:
    """Compare all verdicts; returns how often each fact failed."""
    kinds: Counter[str] = Counter()
    every = requests(seed, events)
    while corpus := list(islice(every, 2_000)):
        found = drained(corpus)
        assert len(found) == sum(len(request.events) for request in corpus)
        for offset, request in enumerate(corpus):
            for index, facts in enumerate(expected(request)):
                said = found[offset, index]
                assert said == facts, (request.dialect, request.events[index][:500], request[1:6])
                kinds.update(facts or {"none"})
    return kinds


def test_verdicts_equal_the_independent_reading() -> None:
    kinds = check(seed=1, events=20_000)
    assert kinds.keys() - {"none"} == gates(), "the corpus trips each gate"
    assert kinds["none"] > 10_000


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_verdicts_of_a_million_events_equal_the_independent_reading() -> None:
    kinds = check(seed=int(datetime(2026, 11, 23).timestamp()), events=1_000_000)  # noqa: DTZ001 - a seed
    assert kinds.keys() - {"none"} == gates()
    assert kinds.total() >= 1_000_000
