"""Follows every interval from its plan to the vendor: plans, manifests, LOADS, PUBLICATIONS, the importer's cursor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from include import plans
from include.lake import Lake, manifest_name
from include.manifest import Manifest
from include.plans import Plan
from local.board.queries import query

Step = Literal["planned", "sealed", "loaded", "published", "at vendor"]
_KEPT = 200


@dataclass(frozen=True, slots=True)
class IntervalState:
    """One plan of an interval and how far it has come."""

    plan: Plan
    step: Step
    events: int | None
    """Valid and failed events in its files; None before it is sealed."""
    failed: int | None
    loaded_at: datetime | None = None
    published_at: datetime | None = None


class Intervals:
    """The plans from `first` on, refreshed without reading again what cannot change."""

    def __init__(self, lake: Lake, first: int = 1) -> None:
        self._lake = lake
        self._next = first
        self._plans: dict[int, Plan] = {}
        self._manifests: dict[int, Manifest] = {}

    def refresh(self, connection: Any, cursor: datetime | None) -> list[IntervalState]:  # noqa: ANN401 - untyped connector
        """Return the state of the plans, oldest first; `cursor` is the newest publication that the vendor imported."""
        self._read_plans()
        if not self._plans:
            return []
        values = {"topic": self._lake.topic, "from_sequence": min(self._plans)}
        loads = {int(row[0]): row[1:] for row in query(connection, "loads", values)}
        return [self._state(sequence, loads, cursor) for sequence in sorted(self._plans)]

    def _read_plans(self) -> None:
        while (plan := self._lake.read(self._next)) is not None:
            self._plans[self._next] = plan
            self._next += 1
        for sequence in sorted(self._plans)[:-_KEPT]:
            del self._plans[sequence]
            self._manifests.pop(sequence, None)
        for sequence, plan in self._plans.items():
            if sequence not in self._manifests:
                manifest = self._lake.get(manifest_name(plan), Manifest)
                if manifest is not None:
                    self._manifests[sequence] = manifest

    def _state(self, sequence: int, loads: Mapping[int, tuple[Any, ...]], cursor: datetime | None) -> IntervalState:
        plan, manifest = self._plans[sequence], self._manifests.get(sequence)
        if manifest is None:
            return IntervalState(plan, "planned", None, None)
        loaded_at, published_at, offered = loads.get(sequence, (None, None, None))
        return IntervalState(
            plan, _step(loaded_at, published_at, offered, cursor), manifest.rows + manifest.failed, manifest.failed,
            loaded_at, published_at,
        )  # fmt: skip


def newest(lake: Lake) -> int:
    """Return the number of the newest plan, 0 where there is none."""
    found = plans.latest(lake)
    return found.sequence if found else 0


def _step(
    loaded_at: datetime | None, published_at: datetime | None, offered: int | None, cursor: datetime | None
) -> Step:
    if loaded_at is None:
        return "sealed"
    if published_at is None:
        return "loaded"
    # A publication without events never shows in the view, so no importer's cursor reaches it.
    if not offered or (cursor is not None and cursor >= published_at):
        return "at vendor"
    return "published"
