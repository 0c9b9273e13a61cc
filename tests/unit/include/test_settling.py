"""Settling: coverage of the chain, what a hop explains, what stops an hour and what only waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from include import reconcile, settling
from include.destinations import Contract, Pushed
from include.errors import TerminalError, TransientError
from include.manifest import Manifest
from include.plans import PartitionRange, Plan, plan_interval
from include.reconcile import Hop, lake_hops, ledger_hop, store, vendor_hop, warehouse_hops
from include.settling import coverage, settle
from include.warehouse import Warehouse
from tests.unit.include.fakes import ChainInMemory, LakeOfIds, RecordingConnection
from tests.unit.include.test_plans_chain import interval, state
from tests.unit.include.test_warehouse_load import manifest

HOUR = (datetime(2026, 11, 23, 10, tzinfo=UTC), datetime(2026, 11, 23, 11, tzinfo=UTC))


class Clock:
    """Monotonic seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    held = Clock()
    monkeypatch.setattr(settling, "time", held)
    return held


def chain(minutes: int) -> Any:
    made = ChainInMemory()
    for number in range(minutes):
        plan_interval(made, interval(number), lambda number=number: state({0: 10 * number + 10}), 100, 50)  # type: ignore[misc]
    return made


def test_an_hour_is_covered_by_the_plans_that_begin_in_it(clock: Clock) -> None:
    assert coverage(chain(61), HOUR) == list(range(1, 61))
    assert clock.now == 0


def test_coverage_waits_for_the_chain_and_then_says_so(clock: Clock) -> None:
    with pytest.raises(TransientError, match="plans do not reach 2026-11-23 11:00 yet: see stage_events"):
        coverage(chain(59), HOUR, wait_s=60)
    assert 60 <= clock.now < 60 + 2 * settling.POLL_S


def test_coverage_goes_on_as_soon_as_the_chain_is_there(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = chain(59)

    def sleep(seconds: float) -> None:
        clock.now += seconds
        plan_interval(growing, interval(59), lambda: state({0: 600}), 100, 50)

    monkeypatch.setattr(clock, "sleep", sleep)
    assert len(coverage(growing, HOUR)) == 60


def test_an_hour_that_the_chain_jumped_over_is_covered_by_nothing(clock: Clock) -> None:
    jumped = chain(1)
    plan_interval(jumped, interval(200), lambda: state({0: 500}), 1_000, 50)
    assert coverage(jumped, (HOUR[1], HOUR[1] + timedelta(hours=1))) == []


@pytest.mark.parametrize(
    ("start", "says"), [(25, "ends at 20, the next begins at 25"), (15, "ends at 20, the next begins at 15")]
)
def test_a_hole_or_an_overlap_in_the_chain_stops_everything(clock: Clock, start: int, says: str) -> None:
    broken = chain(61)
    plan = broken.plans[3]
    broken.plans[3] = Plan(
        3, plan.topic, plan.topic_id, plan.cluster_id, plan.interval_start, plan.interval_end, final=True,
        ranges=(PartitionRange(0, start, 30),),
    )  # fmt: skip
    with pytest.raises(TerminalError, match=f"partition 0: events-0000000002 {says}"):
        coverage(broken, HOUR)


def test_a_hole_at_the_hours_edge_is_found(clock: Clock) -> None:
    broken = chain(121)
    plan = broken.plans[60]
    broken.plans[60] = Plan(
        60, plan.topic, plan.topic_id, plan.cluster_id, plan.interval_start, plan.interval_end, final=True,
        ranges=(PartitionRange(0, 590, 599),),
    )  # fmt: skip
    with pytest.raises(TerminalError, match="events-0000000060 ends at 599, the next begins at 600"):
        coverage(broken, (HOUR[1], HOUR[1] + timedelta(hours=1)))


@pytest.mark.parametrize(("hop", "unexplained"), [
    (Hop("a", 10, 10), 0), (Hop("a", 10, 7, 3), 0), (Hop("a", 10, 7), 3), (Hop("a", 10, 12), -2),
])  # fmt: skip
def test_unexplained_is_what_no_reason_covers(hop: Hop, unexplained: int) -> None:
    assert hop.unexplained == unexplained


def sealed(offsets: int, envelopes: int, announced: int, rows: int, failed: int) -> Manifest:
    plan = Plan(1, "events", "i", "c", *HOUR, final=True, ranges=(PartitionRange(0, 0, offsets),))
    return Manifest(plan, (), envelopes, announced, rows, failed, 0)


@pytest.mark.parametrize(("one", "wrong"), [
    (sealed(5, 5, 250, 245, 5), []), (sealed(5, 4, 200, 200, 0), ["kafka_to_lake"]),
    (sealed(5, 5, 250, 240, 5), ["client_to_lake"]),
])  # fmt: skip
def test_lake_hops_compare_offsets_and_the_edges_own_counts(one: Manifest, wrong: list[str]) -> None:
    assert [hop.name for hop in lake_hops([one]) if hop.unexplained] == wrong


def compared(**answers: Any) -> RecordingConnection:
    counts = iter(answers.pop("landed", [(10,), (2,), (3,)]))
    return RecordingConnection({
        "SELECT COUNT(*) FROM LANDING.L_": lambda _: [next(counts)],
        "SELECT COUNT(*) AS STAGED, COUNT(DISTINCT s.SOURCE_ID || CHR(0) || s.EVENT_ID || CHR(0) || s.OCCURRED_ON)":
            [(10, 8, 0, None)],
        "SELECT COUNT(*) AS STAGED, COUNT(DISTINCT s.SOURCE_ID || CHR(0) || s.EVENT_ID || CHR(0) || s.RAW_SHA256)":
            [(2, 2, 0, None)],
        "SELECT COUNT(*) FROM ( SELECT e.SOURCE_ID": [(0,)],
        "SELECT COUNT(*) AS OFFERED": [(7, 5, 1, 0)],
        "SELECT DISTINCT SEQUENCE": [(1, "load")],
        "UPDATE CONTROL.WRITER_LOCKS": [(1,)],
        "SELECT SYSDATE()": [(HOUR[0],)],
        **answers,
    })  # fmt: skip


EVENTS = "SELECT COUNT(*) AS STAGED, COUNT(DISTINCT s.SOURCE_ID || CHR(0) || s.EVENT_ID || CHR(0) || s.OCCURRED_ON)"
TWICE = "SELECT COUNT(*) FROM ( SELECT e.SOURCE_ID"


def test_events_of_an_envelope_that_cannot_be_opened_are_explained_by_its_row() -> None:
    one = msgspec.structs.replace(manifest(1), announced=12, rows=8, failed=2, unopened=2)
    (_, client) = lake_hops([one])
    assert client.unexplained == 0
    assert client.detail["unopened"] == 2


def test_duplicates_in_the_files_are_explained_and_nothing_else() -> None:
    hops = warehouse_hops(Warehouse(compared()), [manifest()])  # type: ignore[arg-type]
    assert [(hop.name, hop.expected, hop.actual, hop.explained, hop.unexplained) for hop in hops] == [
        ("lake_to_events", 10, 8, 2, 0), ("events_twice", 0, 0, 0, 0), ("lake_to_failed_events", 2, 2, 0, 0),
    ]  # fmt: skip


def test_landing_tables_of_a_comparison_are_dropped_even_when_it_fails() -> None:
    fake = compared(**{EVENTS: TransientError("away")})
    with pytest.raises(TransientError):
        warehouse_hops(Warehouse(fake), [manifest()])  # type: ignore[arg-type]
    assert fake.effects[-1] == "DROP TABLE IF"


def test_what_the_vendor_refused_is_explained_and_what_it_has_not_shown_is_not() -> None:
    hop = vendor_hop(Warehouse(compared()), "amplitude", [manifest()])  # type: ignore[arg-type]
    assert (hop.name, hop.expected, hop.actual, hop.explained, hop.unexplained) == (
        "warehouse_to_amplitude",
        7,
        5,
        1,
        1,
    )


def test_an_hours_result_replaces_the_one_before() -> None:
    fake = compared()
    store(Warehouse(fake), HOUR[0], [Hop("a", 1, 1), Hop("b", 2, 1, 1, {"why": "x"})])  # type: ignore[arg-type]
    assert [effect.split()[0] for effect in fake.effects] == [
        "BEGIN", "UPDATE", "SELECT", "DELETE", "INSERT", "INSERT", "COMMIT",
    ]  # fmt: skip
    assert fake.values_of("INSERT INTO CONTROL.RECONCILIATION")["hour"] == HOUR[0].replace(tzinfo=None)


class Vendor:
    vendor = "amplitude"
    contract = Contract("analytics", [], [], [])

    def __init__(self, *exported: str) -> None:
        self._exported = exported
        self.asked: list[tuple[datetime, datetime]] = []

    def push(self, events: Sequence[Mapping[str, Any]]) -> Pushed:
        raise AssertionError("settling pushes nothing")

    def exported(self, start: datetime, end: datetime) -> Iterator[str]:
        self.asked.append((start, end))
        return iter(self._exported)


def run(
    monkeypatch: pytest.MonkeyPatch, one: Manifest, fake: RecordingConnection, vendor: Vendor,
    lake: LakeOfIds | None = None,
) -> list[Hop]:  # fmt: skip
    monkeypatch.setattr(settling, "sealed", lambda *_: iter([one]))
    return settle(lake or LakeOfIds(), Warehouse(fake), vendor, HOUR[0], [1])  # type: ignore[arg-type]


def whole() -> Manifest:
    made = manifest()
    ranges = (PartitionRange(0, 0, 3),)
    plan = Plan(1, "events", "i", "c", *HOUR, final=True, ranges=ranges)
    return Manifest(plan, made.files, 3, 12, 10, 2, 0)


def test_a_whole_hour_is_stored_and_the_vendors_lag_only_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake, vendor, lake = compared(), Vendor("phone-app:2", "phone-app:1", "phone-app:1"), LakeOfIds()
    hops = run(monkeypatch, whole(), fake, vendor, lake)
    assert [hop.name for hop in hops] == [
        "kafka_to_lake", "client_to_lake", "manifest_to_lake", "lake_to_ledger", "lake_to_events", "events_twice",
        "lake_to_failed_events", "warehouse_to_amplitude",
    ]  # fmt: skip
    assert sorted(set(lake.landed)) == ["phone-app:1", "phone-app:2"]
    assert sum(effect.startswith("UPDATE PUBLISH.DELIVERIES") for effect in fake.effects) == 1
    assert "1 events offered, not confirmed yet" in caplog.text
    assert sum(effect.startswith("INSERT INTO CONTROL.RECONCILIATION") for effect in fake.effects) == 8
    assert vendor.asked[0][0] == HOUR[0]
    assert vendor.asked[0][1] <= HOUR[0] + timedelta(days=1)


@pytest.mark.parametrize(("answers", "says"), [
    ({EVENTS: [(10, 8, 3, "phone-app:e-7")]}, r"lake_to_events expected 10, found 5, .*phone-app:e-7"),
    ({TWICE: [(4,)]}, r"events_twice expected 0, found 4"),
])  # fmt: skip
def test_a_difference_is_stored_and_then_stops_the_run(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], says: str
) -> None:
    fake = compared(**answers)
    with pytest.raises(TerminalError, match=f"hour 2026-11-23 10: {says}"):
        run(monkeypatch, whole(), fake, Vendor())
    assert "INSERT INTO CONTROL.RECONCILIATION" in " ".join(fake.effects), "stored before it fails"


def test_files_that_are_not_the_sealed_ones_stop_the_run_before_anything_is_compared_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = compared(landed=[(3,)])
    with pytest.raises(TerminalError, match=r"manifest_to_lake expected 2, found 1, .*'checksum': 1.*events/1.parquet"):
        run(monkeypatch, whole(), fake, Vendor("x", "y", "z"), LakeOfIds({"events/1.parquet": "checksum"}))
    assert sum(effect.startswith("COPY") for effect in fake.effects) == 1, "only of what the vendor confirmed"
    stored = [values["hop"] for text, values in fake.statements if text.startswith("INSERT INTO CONTROL.RECON")]
    assert stored == ["kafka_to_lake", "client_to_lake", "manifest_to_lake", "warehouse_to_amplitude"]


def test_a_row_of_the_ledger_that_is_gone_stops_the_run_and_one_that_came_again_is_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = {"SELECT DISTINCT SEQUENCE": [], "SELECT DISTINCT BATCH_ID": [("events-0000000001",)]}
    with pytest.raises(TerminalError, match=r"lake_to_ledger expected 1, found 0, .*events-0000000001"):
        run(monkeypatch, whole(), compared(**gone), Vendor())
    again = {"SELECT DISTINCT SEQUENCE": [(1, "recovered"), (1, "load"), (7, "load")]}
    hops = run(monkeypatch, whole(), compared(**again), Vendor())
    hop = next(hop for hop in hops if hop.name == "lake_to_ledger")
    assert (hop.expected, hop.actual, hop.explained, hop.unexplained) == (1, 0, 1, 0)
    assert hop.detail == {"missing": 0, "recovered": 1, "example": "events-0000000001"}


def test_a_batch_that_is_merely_not_loaded_is_no_finding() -> None:
    fake = RecordingConnection({"SELECT DISTINCT SEQUENCE": [], "SELECT DISTINCT BATCH_ID": []})
    assert ledger_hop(Warehouse(fake), [manifest()]) == Hop(  # type: ignore[arg-type]
        "lake_to_ledger", 0, 0, 0, {"missing": 0, "recovered": 0, "example": None}
    )


def test_an_hour_without_plans_compares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "sealed", lambda *_: iter([]))
    assert settle(None, None, Vendor(), HOUR[0], []) == []  # type: ignore[arg-type]


def test_an_hour_whose_plans_are_not_sealed_is_not_taken_for_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "sealed", lambda *_: iter([]))
    with pytest.raises((TerminalError, TransientError), match="sealed"):
        settle(None, None, Vendor(), HOUR[0], [4, 5])  # type: ignore[arg-type]


def test_hop_names_are_stable() -> None:
    assert {hop.name for hop in reconcile.lake_hops([])} == {"kafka_to_lake", "client_to_lake"}
