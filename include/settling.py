"""What settle_hour does: prove an hour complete, heal what is not by the ordinary functions, reconcile, store."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from include import gaps, plans, reconcile, sealing, staging
from include.confirming import confirm
from include.destinations import Destination
from include.errors import TerminalError, TransientError
from include.lake import Lake, sealed
from include.loading import load_sealed, load_these
from include.manifest import Manifest, dates_of
from include.plans import Plan
from include.reconcile import Hop
from include.settings import PipelineSettings
from include.warehouse import LoadKind, Warehouse, missing_sequences

log = logging.getLogger(__name__)
POLL_S = 3.0


def coverage(lake: Lake, hour: tuple[datetime, datetime], wait_s: float = 180.0) -> list[int]:
    """Return the numbers of the hour's plans, after the chain has reached the hour's end and has no hole.

    Raises:
        TransientError: the chain does not reach the hour's end yet.
        TerminalError: two neighbours of the chain do not join; that must never happen.

    """
    deadline = time.monotonic() + wait_s
    while not _reaches(plans.latest(lake), hour[1]):
        if time.monotonic() > deadline:
            raise TransientError(
                f"plans do not reach {hour[1]:%Y-%m-%d %H:%M} yet: see stage_events, "
                "see docs/runbooks/stage-events-not-running.md"
            )
        time.sleep(POLL_S)
    found = plans.plans_of(lake, *hour)
    before = lake.read(found[0].sequence - 1) if found else None
    for left, right in zip([before, *found], found, strict=False):
        _require_joined(lake, left, right)
    return plans.numbered(found)


def heal(
    lake: Lake,
    warehouse: Warehouse,
    kafka: Mapping[str, Any],
    settings: PipelineSettings,
    known_sources: Sequence[str],
    sequences: Sequence[int],
    *,
    offers: bool = True,
) -> dict[str, int]:
    """Drain, seal and load what the hour's runs left undone; returns what was done, zeros for a whole hour.

    Without `offers` only these plans are loaded, and what they bring does not go to vendors by itself.
    """
    last = max(sequences, default=0)
    unloaded = set(missing_sequences(warehouse, settings.kafka_topic, last)) & set(sequences)
    present = {manifest.plan.sequence: manifest for manifest in sealed(lake, list(sequences))}
    unsealed = [sequence for sequence in sequences if sequence not in present]
    lost = [one for one in sorted(unloaded & present.keys()) if not all(map(lake.has, present[one].files))]
    for work in staging.drain_work(lake, settings, [*unsealed, *lost]):
        staging.drain_partitions(
            lake, kafka, settings, known_sources, sequence=work["sequence"], partitions=work["partitions"]
        )
    sealing.seal_plans(lake, unsealed)
    if unloaded and offers:
        load_sealed(lake, warehouse, settings)
    elif unloaded:
        load_these(lake, warehouse, settings, sorted(unloaded), LoadKind(offers=False))
    return {"sealed": len(unsealed), "loaded": len(unloaded)}


def settle(
    lake: Lake,
    warehouse: Warehouse,
    destination: Destination,
    hour: datetime,
    sequences: Sequence[int],
) -> list[Hop]:
    """Compare the hour hop by hop, store the result, and fail on a difference between client and warehouse.

    The vendor's side is stored, not enforced: its export lags by hours, and the next settling completes it.

    Raises:
        TerminalError: events are missing or twice; the message has hop, numbers and an example.

    """
    manifests = list(sealed(lake, list(sequences)))
    if len(manifests) != len(sequences):
        raise TransientError(
            f"{len(sequences) - len(manifests)} plans of hour {hour:%Y-%m-%d %H} are not sealed: heal first"
        )
    if not manifests:
        return []
    hops = _hops(lake, warehouse, manifests)
    vendor = _vendor(lake, warehouse, destination, hour, manifests)
    reconcile.store(warehouse, hour, [*hops, vendor])
    if wrong := [hop.sentence for hop in hops if hop.unexplained]:
        raise TerminalError(f"hour {hour:%Y-%m-%d %H}: " + "; ".join(wrong))
    return [*hops, vendor]


def _hops(lake: Lake, warehouse: Warehouse, manifests: Sequence[Manifest]) -> list[Hop]:
    """Compare client, Kafka, lake and warehouse; files that are not the sealed ones prove nothing of the warehouse."""
    wrong_files = lake.troubles([file for manifest in manifests for file in manifest.files])
    hops = [*reconcile.lake_hops(manifests), reconcile.file_hop(manifests, wrong_files)]
    if wrong_files:
        return hops
    return [*hops, reconcile.ledger_hop(warehouse, manifests), *reconcile.warehouse_hops(warehouse, manifests)]


def _vendor(
    lake: Lake, warehouse: Warehouse, destination: Destination, hour: datetime, manifests: Sequence[Manifest]
) -> Hop:
    """Compare what was offered with what the vendor has; asks for its export only where that is not known yet."""
    hop = reconcile.vendor_hop(warehouse, destination.vendor, manifests)
    if hop.unexplained:
        _confirm(lake, warehouse, destination, hour, manifests)
        hop = reconcile.vendor_hop(warehouse, destination.vendor, manifests)
    if hop.unexplained:
        log.warning("%s: %s events offered, not confirmed yet, see %s", hop.name, hop.unexplained, hop.runbook)
    return hop


def _confirm(
    lake: Lake, warehouse: Warehouse, destination: Destination, hour: datetime, manifests: Sequence[Manifest]
) -> None:
    """Mark as confirmed what the vendor's export has from the hour until now, at most a day of it."""
    until = min(datetime.now(UTC) + timedelta(hours=1), hour + timedelta(days=1))
    confirm(lake, warehouse, destination.vendor, dates_of(manifests), destination.exported(hour, until))


def _reaches(newest: Plan | None, end: datetime) -> bool:
    return newest is not None and newest.interval_end >= end


def _require_joined(lake: Lake, left: Plan | None, right: Plan) -> None:
    if left is not None and (holes := gaps.unjoined(left, right, lake)):
        raise TerminalError("the chain of plans has a hole: " + "; ".join(holes) + "; see docs/runbooks/chain-hole.md")
