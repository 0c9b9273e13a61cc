"""What load_events does: everything that is sealed and not in the ledger, oldest first, in bounded loads."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from include import plans, reconcile, topic
from include.errors import TerminalError
from include.lake import Lake, sealed
from include.manifest import Manifest
from include.settings import PipelineSettings
from include.warehouse import LoadKind, Warehouse, load, missing_sequences, sweep_landing

log = logging.getLogger(__name__)


def load_sealed(lake: Lake, warehouse: Warehouse, settings: PipelineSettings) -> dict[str, int]:
    """Load until nothing sealed is missing in the ledger; returns totals over all loads made.

    Raises:
        TerminalError: some batches cannot be loaded; everything else was loaded before it is raised.

    """
    totals: dict[str, int] = {"batches": 0}
    newest = plans.latest(lake)
    missing = missing_sequences(warehouse, settings.kafka_topic, newest.sequence) if newest else []
    problems: list[TerminalError] = []
    for manifests in bounded(sealed(lake, missing), settings.load_max_files):
        for loaded, counts in _load(lake, warehouse, manifests, problems):
            log.info("loaded %s .. %s: %s", loaded[0].plan.plan_id, loaded[-1].plan.plan_id, counts)
            totals["batches"] += len(loaded)
            for name, count in counts.items():
                totals[name] = totals.get(name, 0) + count
    sweep_landing(warehouse)
    if problems:
        raise TerminalError(
            f"{len(problems)} batches cannot be loaded, all others are: "
            + "; ".join(map(str, problems))
            + "; see docs/runbooks/load-differs.md"
        )
    return totals


def load_these(
    lake: Lake, warehouse: Warehouse, settings: PipelineSettings, sequences: Sequence[int], kind: LoadKind
) -> dict[str, int]:
    """Load exactly these sealed plans in bounded loads of one kind; returns totals over all loads made."""
    totals: dict[str, int] = {}
    for manifests in bounded(sealed(lake, list(sequences)), settings.load_max_files):
        _require_sealed_files(lake, manifests)
        numbers = {manifest.plan.sequence for manifest in manifests}
        replaced = tuple(one for one in kind.replaced if one.plan.sequence in numbers)
        for name, count in load(warehouse, manifests, msgspec.structs.replace(kind, replaced=replaced)).items():
            totals[name] = totals.get(name, 0) + count
    return totals


def _require_sealed_files(lake: Lake, manifests: Sequence[Manifest]) -> None:
    """Raise TerminalError where a file is not the one that was sealed: COPY sees no more than its number of rows."""
    found = reconcile.file_hop(manifests, lake.troubles([file for one in manifests for file in one.files]))
    if found.unexplained:
        raise TerminalError(found.sentence)


def _load(
    lake: Lake, warehouse: Warehouse, manifests: list[Manifest], problems: list[TerminalError]
) -> Iterator[tuple[list[Manifest], dict[str, int]]]:
    """Load a group, one by one where it cannot be loaded as a whole, so that one bad batch holds up no other."""
    try:
        _require_sealed_files(lake, manifests)
        yield manifests, load(warehouse, manifests)
    except TerminalError as error:
        if len(manifests) == 1:
            problems.append(error)
            return
        for one in manifests:
            yield from _load(lake, warehouse, [one], problems)


def commit_loaded(
    lake: Lake, warehouse: Warehouse, kafka: Mapping[str, Any], settings: PipelineSettings
) -> dict[int, int]:
    """Commit to Kafka, for lag tools, the end of the unbroken chain of loaded plans; returns it by partition."""
    newest = plans.latest(lake)
    if newest is None:
        return {}
    missing = missing_sequences(warehouse, settings.kafka_topic, newest.sequence)
    last = lake.read(missing[0] - 1) if missing else newest
    if last is None:
        return {}
    ends = {part.partition: part.end for part in last.ranges}
    topic.commit(kafka, settings.kafka_topic, ends)
    return ends


def bounded(manifests: Iterator[Manifest] | Sequence[Manifest], max_files: int) -> Iterator[list[Manifest]]:
    """Yield groups of manifests with at most `max_files` files of a kind, or a single manifest above that."""
    group: list[Manifest] = []
    files = 0
    for manifest in manifests:
        count = max(len(manifest.names("events")), len(manifest.names("failed")))
        if group and (files + count > max_files or len(group) >= max_files):
            yield group
            group, files = [], 0
        group.append(manifest)
        files += count
    if group:
        yield group
