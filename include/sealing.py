"""What stage_events does last: the manifest of a plan whose ranges are all staged, with what the suites found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from include import plans, quality
from include.distinct import Tally, merge
from include.errors import TransientError
from include.lake import Lake, manifest_name, part_name, result_name
from include.manifest import NULLS_COUNTED, Manifest, Part
from include.plans import Plan

log = logging.getLogger(__name__)


def seal_plans(lake: Lake, sequences: Sequence[int]) -> list[str]:
    """Write the manifests of drained plans and return the plan ids; a sealed plan is left alone.

    Raises:
        TransientError: a range of a plan is not staged yet.

    """
    found = [plans.needed(lake, sequence) for sequence in sorted(set(sequences))]
    for plan in found:
        seal(lake, plan)
    return [plan.plan_id for plan in found]


def seal(lake: Lake, plan: Plan) -> None:
    """Write one plan's manifest unless it has one; raises TransientError when a range is not staged yet."""
    if lake.get(manifest_name(plan), Manifest) is None:
        _seal(lake, plan, list(_parts(lake, plan)))


def _parts(lake: Lake, plan: Plan) -> Iterator[Part]:
    for part_range in plan.ranges:
        if part_range.size:
            part = lake.get(part_name(plan, part_range), Part)
            if part is None:
                raise TransientError(
                    f"{part_name(plan, part_range)} is not staged yet: run the plan's drain tasks again"
                )
            yield part


def _seal(lake: Lake, plan: Plan, parts: list[Part]) -> None:
    def total(of: Callable[[Part], int]) -> int:
        return sum(map(of, parts))

    manifest = Manifest(
        plan=plan,
        files=tuple(file for part in parts for file in part.files),
        envelopes=total(lambda part: part.envelopes),
        announced=total(lambda part: part.announced),
        rows=total(lambda part: part.rows),
        failed=total(lambda part: part.failed),
        duplicates=total(lambda part: part.duplicates),
        unopened=total(lambda part: part.unopened),
        missing=total(lambda part: part.missing),
        accepted=tuple(piece for part in parts for piece in part.accepted),
    )
    lake.put_once(result_name(plan), quality_result(plan, manifest, parts))
    if not lake.put_once(manifest_name(plan), manifest):
        log.info("plan %s was sealed by another run at the same moment", plan.plan_id)


def quality_result(plan: Plan, manifest: Manifest, parts: Sequence[Part]) -> dict[str, Any]:
    """Return the validation document of a plan: suite `events` over its rows, suite `interval` over its totals."""
    tallies: list[Tally] = []
    for part in parts:
        tallies = merge(tallies, part.tallies)
    events = manifest.rows + manifest.failed
    totals = {
        "rows": float(events),
        "failed_percent": 100 * manifest.failed / max(1, events),
        "duplicate_percent": 100 * manifest.duplicates / max(1, manifest.rows),
        **{
            f"{name}_null_percent": 100 * sum(part.nulls.get(name, 0) for part in parts) / max(1, manifest.rows)
            for name in NULLS_COUNTED
        },
    }
    return {
        "plan_id": plan.plan_id,
        "interval_start": plan.interval_start,
        "interval_end": plan.interval_end,
        "totals": totals,
        "events": tallies,
        "interval": quality.judge_interval(totals),
    }
