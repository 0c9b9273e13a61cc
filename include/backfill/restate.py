"""Mode restate: derive batches again under the current contract version, and replace their rows at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from include import sealing, staging, topic
from include.backfill import relake
from include.contract import event
from include.lake import Lake, latest_manifest, manifest_name
from include.loading import load_these
from include.manifest import Manifest
from include.plans import PartitionRange, Plan, TopicState
from include.settings import PipelineSettings
from include.statements import statement
from include.warehouse import LoadKind, Warehouse

log = logging.getLogger(__name__)


def outdated(lake: Lake, sequences: Sequence[int]) -> list[Plan]:
    """Return the plans that were made under an older contract version than the current one."""
    found = (lake.read(sequence) for sequence in sequences)
    return [plan for plan in found if plan is not None and plan.contract_version < event.CONTRACT_VERSION]


def restate(
    lake: Lake,
    warehouse: Warehouse,
    kafka: Mapping[str, Any],
    settings: PipelineSettings,
    known_sources: Sequence[str],
    sequences: Sequence[int],
) -> dict[str, int]:
    """Restate the plans that need it; they must be sealed and loaded. Safe to kill and to run again.

    Readers see the old rows until the transaction that replaces a batch commits, and the new ones from then on.
    Events move to no other batch: what a batch did not bring, because another one had it first, it does not bring now.
    """
    plans = outdated(lake, sequences)
    state = topic.observe(kafka, settings.kafka_topic, plans[-1].interval_end) if plans else None
    totals = {"from_kafka": 0, "from_lake": 0, "replaced": 0}
    for plan in plans:
        target = plan.restated(event.CONTRACT_VERSION)
        if lake.get(manifest_name(target), Manifest) is None:
            _derive(lake, kafka, settings, known_sources, target, state, totals)
            sealing.seal(lake, target)
    totals["replaced"] = replace(lake, warehouse, settings, plans)
    return totals


def replace(lake: Lake, warehouse: Warehouse, settings: PipelineSettings, plans: Sequence[Plan]) -> int:
    """Replace the rows of those plans that are restated in the lake and not in EVENTS; returns how many plans."""
    sealed = [plan for plan in plans if lake.get(manifest_name(plan.restated(event.CONTRACT_VERSION)), Manifest)]
    stale = _stale(warehouse, settings.kafka_topic, sealed)
    if stale:
        kind = LoadKind("restate", offers=False, replaced=tuple(_older(lake, stale)))
        load_these(lake, warehouse, settings, [plan.sequence for plan in stale], kind)
    return len(stale)


def in_kafka(plan: Plan, part: PartitionRange, state: TopicState) -> bool:
    """Tell whether Kafka still has a range."""
    same = (plan.topic_id, plan.cluster_id) == (state.topic_id, state.cluster_id)
    return same and state.low.get(part.partition, part.start + 1) <= part.start


def _derive(
    lake: Lake,
    kafka: Mapping[str, Any],
    settings: PipelineSettings,
    known_sources: Sequence[str],
    target: Plan,
    state: TopicState | None,
    totals: dict[str, int],
) -> None:
    def one(part: PartitionRange) -> Any:  # noqa: ANN401 - a Part of either origin
        if state is not None and in_kafka(target, part, state):
            totals["from_kafka"] += 1
            return staging.drain_range(
                lake, kafka, settings, known_sources, target, part, (state.topic_id, state.cluster_id)
            )
        totals["from_lake"] += 1
        return relake.derive(lake, _newest(lake, target), target, part, known_sources)

    staging.stage_ranges(lake, target, [part.partition for part in target.ranges], one)


def _newest(lake: Lake, target: Plan) -> Plan:
    original = lake.read(target.sequence) or target
    manifest = latest_manifest(lake, original)
    return manifest.plan if manifest else original


def _stale(warehouse: Warehouse, name: str, plans: Sequence[Plan]) -> list[Plan]:
    """Return those plans whose newest load is of an older contract version; they are restated but not replaced."""
    if not plans:
        return []
    values = {"topic": name, "sequences": [plan.sequence for plan in plans]}
    rows = warehouse.run(statement("load/ledger", "versions"), values, "reading LOADS")
    loaded = {int(sequence): int(version) for sequence, version in rows}
    return [plan for plan in plans if loaded.get(plan.sequence, 0) < event.CONTRACT_VERSION]


def _older(lake: Lake, plans: Sequence[Plan]) -> list[Manifest]:
    found: list[Manifest] = []
    for plan in plans:
        names = [plan, *(plan.restated(one) for one in range(plan.contract_version + 1, event.CONTRACT_VERSION))]
        manifests = (lake.get(manifest_name(one), Manifest) for one in names)
        found.extend(manifest for manifest in manifests if manifest is not None)
    return found
