"""Reconciliation of one hour along the way: client, Kafka, lake, warehouse, vendor; by counts and by ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

import msgspec

from include import gaps
from include.manifest import Manifest, dates_of
from include.statements import statement
from include.warehouse import Warehouse, land, naive, present

BATCHES_AT_ONCE = 500
"""Most batches that one statement names."""


class Hop(msgspec.Struct, frozen=True):
    """One comparison: what went in, what came out, and the part of the difference that has a reason."""

    name: str
    expected: int
    actual: int
    explained: int = 0
    detail: dict[str, int | str | None] = {}

    @property
    def unexplained(self) -> int:
        """What is missing (positive) or too much (negative) without a reason."""
        return self.expected - self.actual - self.explained

    @property
    def runbook(self) -> str:
        """The page that says what to do about a difference."""
        return f"docs/runbooks/{self.name.replace('_', '-')}.md"

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        return f"{self.name} expected {self.expected}, found {self.actual}, {self.detail}, see {self.runbook}"


def lake_hops(manifests: Sequence[Manifest]) -> list[Hop]:
    """Compare Kafka's offsets and the edge's own event counts with what the lake has."""
    offsets = sum(manifest.plan.envelopes for manifest in manifests)
    announced = sum(manifest.announced for manifest in manifests)
    rows, failed = (sum(getattr(manifest, name) for manifest in manifests) for name in ("rows", "failed"))
    unopened = sum(manifest.unopened for manifest in manifests)
    detail: dict[str, int | str | None] = {"valid": rows, "failed": failed, "unopened": unopened}
    accepted = [piece for manifest in manifests for piece in (*manifest.plan.skipped, *manifest.accepted)]
    skipped = sum(piece.gap.records or 0 for manifest in manifests for piece in manifest.plan.skipped)
    lost = skipped + sum(manifest.missing for manifest in manifests)
    envelopes = sum(manifest.envelopes for manifest in manifests)
    return [
        Hop("kafka_to_lake", offsets + skipped, envelopes, lost, {**gaps.totals(accepted)}),
        Hop("client_to_lake", announced, rows + failed, unopened, detail),
    ]


def file_hop(manifests: Sequence[Manifest], wrong: Mapping[str, str]) -> Hop:
    """Compare the files that the manifests name with those that are in the lake as they were staged."""
    files = [file for manifest in manifests for file in manifest.files]
    counts = Counter(wrong.values())
    detail: dict[str, int | str | None] = {name: counts[name] for name in ("gone", "size", "checksum")}
    detail["example"] = min(wrong, default=None)
    return Hop("manifest_to_lake", len(files), len(files) - len(wrong), 0, detail)


def ledger_hop(warehouse: Warehouse, manifests: Sequence[Manifest]) -> Hop:
    """Compare the batches whose rows are in EVENTS with the ledger; a row that was gone and came again is explained.

    A batch that is in neither is merely not loaded yet.
    """
    if not manifests:
        return Hop("lake_to_ledger", 0, 0)
    plans = {manifest.plan.sequence: manifest.plan for manifest in manifests}
    values = {"topic": manifests[0].plan.topic, "first": min(plans), "last": max(plans)}
    rows = warehouse.run(statement("load/ledger", "kinds"), values, "reading LOADS")
    known = {int(sequence) for sequence, _ in rows} & plans.keys()
    recovered = {int(sequence) for sequence, kind in rows if kind == "recovered"} & known
    missing = present(warehouse, [manifest for manifest in manifests if manifest.plan.sequence not in known])
    example = min([*missing, *(plans[sequence].plan_id for sequence in recovered)], default=None)
    detail = {"missing": len(missing), "recovered": len(recovered), "example": example}
    expected = len(known) + len(missing)
    return Hop("lake_to_ledger", expected, len(known) - len(recovered), len(recovered), detail)


def twice_hop(warehouse: Warehouse, manifests: Sequence[Manifest]) -> Hop:
    """Count the events of these batches that EVENTS has more than once, without a look at the lake."""
    doubles = 0
    for some in (manifests[start : start + BATCHES_AT_ONCE] for start in range(0, len(manifests), BATCHES_AT_ONCE)):
        if dates := dates_of(some):
            values = {"batches": [manifest.plan.plan_id for manifest in some]}
            found = warehouse.run(statement("settle/compare", "twice_of", dates), values, "looking for doubles")
            doubles += int(found[0][0])
    return Hop("events_twice", 0, doubles)


def warehouse_hops(warehouse: Warehouse, manifests: Sequence[Manifest]) -> list[Hop]:
    """Compare the ids in the lake's files with those in EVENTS and FAILED_EVENTS, through a landing table."""
    hops = []
    dates = dates_of(manifests)
    if dates:
        with _landed(warehouse, manifests, "events", "EVENTS_TEMPLATE") as table:
            counts = warehouse.run(statement("settle/compare", "events", dates, table=table), doing="comparing EVENTS")
            hops.append(_compared("lake_to_events", counts[0]))
            twice = warehouse.run(statement("settle/compare", "twice", dates, table=table), doing="looking for doubles")
            hops.append(Hop("events_twice", 0, int(twice[0][0])))
    with _landed(warehouse, manifests, "failed", "FAILED_TEMPLATE") as table:
        counts = warehouse.run(statement("settle/compare", "failed", table=table), doing="comparing FAILED_EVENTS")
        hops.append(_compared("lake_to_failed_events", counts[0]))
    return hops


def vendor_hop(warehouse: Warehouse, vendor: str, manifests: Sequence[Manifest]) -> Hop:
    """Compare what was due of these batches' events with what the vendor's own export confirmed.

    Refused is what the vendor said that it never takes, and what is unfit by its documented rules: not offered at all.
    """
    dates = dates_of(manifests)
    row: Sequence[int | None] = (0, 0, 0, 0)
    if dates:
        values = {"vendor": vendor, "batches": [manifest.plan.plan_id for manifest in manifests]}
        row = warehouse.run(statement("settle/compare", "vendor", dates), values, "comparing DELIVERIES")[0]
    due, confirmed, refused, unfit = (int(count or 0) for count in row)
    return Hop(f"warehouse_to_{vendor}", due, confirmed, refused, {"refused": refused, "unfit": unfit})


def store(warehouse: Warehouse, hour: datetime, hops: Sequence[Hop]) -> None:
    """Replace the hour's rows in RECONCILIATION."""
    moment = naive(hour)
    with warehouse.transaction("settle", f"{hour:%Y-%m-%dT%H}"):
        warehouse.run(statement("settle/result", "forget"), {"hour": moment}, "replacing RECONCILIATION")
        for hop in hops:
            row = {
                "hour": moment,
                "hop": hop.name,
                "expected": hop.expected,
                "actual": hop.actual,
                "explained": hop.explained,
                "detail": msgspec.json.encode(hop.detail).decode(),
            }
            warehouse.run(statement("settle/result", "insert"), row, "writing RECONCILIATION")


@contextmanager
def _landed(warehouse: Warehouse, manifests: Sequence[Manifest], kind: str, template: str) -> Iterator[str]:
    table = f"L_{uuid4().hex[:8].upper()}_SETTLE"
    try:
        land(warehouse, table, template, manifests, kind)
        yield table
    finally:
        warehouse.run(statement("load/landing", "drop", table=table), doing=f"dropping {table}")


def _compared(name: str, row: Sequence[object]) -> Hop:
    staged, keys, missing, example = row
    numbers = {"staged": int(str(staged)), "keys": int(str(keys)), "missing": int(str(missing or 0))}
    repeated = numbers["staged"] - numbers["keys"]
    detail: dict[str, int | str | None] = {**numbers, "example": None if example is None else str(example)}
    return Hop(name, numbers["staged"], numbers["keys"] - numbers["missing"], repeated, detail)
