"""Mode check: what each mode of a backfill would do, where the data would come from, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from include import reconcile, topic
from include.backfill.restate import in_kafka
from include.backfill.wish import Mode, Wish
from include.blobs import Suspicion
from include.contract import event
from include.lake import Lake, latest_manifest, sealed
from include.manifest import Manifest
from include.plans import Plan, TopicState
from include.reconcile import Hop
from include.settings import PipelineSettings
from include.statements import statement
from include.warehouse import Warehouse, missing_sequences

READERS = 8
DRAIN_EVENTS_PER_SECOND = 50_000
LOAD_EVENTS_PER_SECOND = 150_000
LOAD_SECONDS = 4.0
"""Measured on two cores (docs/benchmarks.md); a load of nothing costs its statements."""


class Step(msgspec.Struct, frozen=True):
    """What one mode would do."""

    mode: Mode
    batches: int
    events: int
    source: str
    seconds: float
    warehouse_seconds: float


class Rehearsal(msgspec.Struct, frozen=True):
    """What is there, and what each mode would do about it."""

    plans: int
    envelopes: int
    events: int
    failed: int
    open_failed: int
    unsealed: int
    unloaded: int
    lost_files: tuple[str, ...]
    """Gone, or not as they were sealed."""
    expired: int
    """Plans that are not sealed and that Kafka has lost in part: only `accept-gap` helps."""
    steps: tuple[Step, ...]
    findings: tuple[Hop, ...] = ()
    """What somebody changed by hand: files, rows of the ledger, copies of events."""

    def totals(self) -> dict[str, int]:
        """Return the numbers for a run's log and XCom."""
        counted = {
            "plans": self.plans,
            "events": self.events,
            "failed": self.failed,
            "lost_files": len(self.lost_files),
        }
        found = {hop.name: hop.expected - hop.actual for hop in self.findings}
        return counted | {f"{step.mode}_batches": step.batches for step in self.steps} | found

    def text(self) -> str:
        """Return it as lines for a log."""
        head = (
            f"{self.plans} plans, {self.envelopes} envelopes, {self.events} valid and {self.failed} failed events; "
            f"{self.unsealed} not sealed, {self.unloaded} not loaded, {len(self.lost_files)} files lost"
        )
        return "\n".join([head, *(_line(step) for step in self.steps), *(hop.sentence for hop in self.findings)])


def wanted(lake: Lake, wish: Wish, sequences: Sequence[int]) -> list[int]:
    """Return the plans that have events of the dates asked for, and those of which that is not known yet."""
    if not wish.has_dates:
        return list(sequences)
    known = {manifest.plan.sequence: manifest for manifest in sealed(lake, sequences)}
    return [one for one in sequences if one not in known or wish.concerns(known[one].dates)]


def rehearse(
    lake: Lake, warehouse: Warehouse, kafka: Mapping[str, Any], settings: PipelineSettings, sequences: Sequence[int]
) -> Rehearsal:
    """Look at the plans and write nothing.

    Raises:
        TransientError: the lake, Kafka or the warehouse is away.

    """
    with ThreadPoolExecutor(READERS) as readers:
        plans = [plan for plan in readers.map(lake.read, sequences) if plan is not None]
        manifests = [
            found for found in readers.map(lambda plan: latest_manifest(lake, plan), plans) if found is not None
        ]
    state = topic.observe(kafka, settings.kafka_topic, plans[-1].interval_end) if plans else None
    present = {manifest.plan.sequence for manifest in manifests}
    last = max(sequences, default=0)
    unloaded = set(missing_sequences(warehouse, settings.kafka_topic, last)) & set(sequences)
    unsealed = [plan for plan in plans if plan.sequence not in present]
    lost = lake.troubles([file for manifest in manifests for file in manifest.files])
    failed = _open_failed(warehouse, manifests)
    return Rehearsal(
        plans=len(plans),
        envelopes=sum(plan.envelopes for plan in plans),
        events=sum(manifest.rows for manifest in manifests),
        failed=sum(manifest.failed for manifest in manifests),
        open_failed=failed,
        unsealed=len(unsealed),
        unloaded=len(unloaded),
        lost_files=tuple(lost),
        expired=sum(not _whole(plan, state) for plan in unsealed),
        steps=_steps(manifests, unsealed, unloaded, failed, state),
        findings=_findings(warehouse, manifests, lost),
    )


def _findings(warehouse: Warehouse, manifests: Sequence[Manifest], lost: Mapping[str, Suspicion]) -> tuple[Hop, ...]:
    hops = (
        reconcile.file_hop(manifests, lost),
        reconcile.ledger_hop(warehouse, manifests),
        reconcile.twice_hop(warehouse, manifests),
    )
    return tuple(hop for hop in hops if hop.expected != hop.actual)


def _open_failed(warehouse: Warehouse, manifests: Sequence[Manifest]) -> int:
    batches = [manifest.plan.plan_id for manifest in manifests if manifest.failed]
    if not batches:
        return 0
    rows = warehouse.run(statement("backfill/record", "open_failed"), {"batches": batches}, "counting failed events")
    return int(rows[0][0])


def _whole(plan: Plan, state: TopicState | None) -> bool:
    return state is not None and all(in_kafka(plan, part, state) for part in plan.ranges if part.size)


def _steps(
    manifests: Sequence[Manifest],
    unsealed: Sequence[Plan],
    unloaded: set[int],
    failed: int,
    state: TopicState | None,
) -> tuple[Step, ...]:
    waiting = [manifest for manifest in manifests if manifest.plan.sequence in unloaded]
    older = [manifest for manifest in manifests if manifest.plan.contract_version < event.CONTRACT_VERSION]
    drained = sum(plan.envelopes for plan in unsealed) * _per_envelope(manifests)
    origins = {_whole(manifest.plan, state) for manifest in older}
    return (
        _step("heal", len(unsealed) + len(waiting), _events(waiting) + drained, "Kafka, lake", drained),
        _step("reload", len(manifests), _events(manifests), "lake", 0),
        _step("restate", len(older), _events(older), _origin(origins), _events(older)),
        _step("redrive", sum(manifest.failed > 0 for manifest in manifests), failed, "FAILED_EVENTS", failed),
    )


def _step(mode: Mode, batches: int, events: int, source: str, drained: int) -> Step:
    if not batches:
        return Step(mode, 0, 0, "nothing to do", 0.0, 0.0)
    warehouse = LOAD_SECONDS + events / LOAD_EVENTS_PER_SECOND
    return Step(mode, batches, events, source, warehouse + drained / DRAIN_EVENTS_PER_SECOND, warehouse)


def _origin(origins: Iterable[bool]) -> str:
    found = set(origins)
    if found == {True}:
        return "Kafka"
    return "lake" if found == {False} else "Kafka, then lake"


def _events(manifests: Sequence[Manifest]) -> int:
    return sum(manifest.rows + manifest.failed for manifest in manifests)


def _per_envelope(manifests: Sequence[Manifest]) -> int:
    """Return the events that an envelope has here on average; 50 where nothing is known."""
    envelopes = sum(manifest.envelopes for manifest in manifests)
    return -(-_events(manifests) // envelopes) if envelopes else 50


def _line(step: Step) -> str:
    return f"{step.mode}: {step.batches} batches, {step.events} events, {step.source}, about {step.seconds:.0f} s"
