"""What a run of settle_hour changes before it reconciles: the hourly heal, or what a backfill asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from include import settling
from include.backfill import rehearsal
from include.backfill.record import Run, recorded
from include.backfill.restate import outdated, replace, restate
from include.backfill.wish import Wish
from include.lake import Lake, sealed
from include.loading import load_these
from include.manifest import Manifest, dates_of
from include.redriving import redrive
from include.settings import PipelineSettings
from include.statements import statement
from include.twins import close_twins
from include.warehouse import LoadKind, Warehouse

log = logging.getLogger(__name__)


class Hour:
    """One hour's plans and all that is needed to work on them."""

    def __init__(
        self,
        lake: Lake,
        warehouse: Warehouse,
        kafka: Mapping[str, Any],
        settings: PipelineSettings,
        known_sources: Sequence[str],
    ) -> None:
        """Take the clients."""
        self.lake, self.warehouse, self.kafka = lake, warehouse, kafka
        self.settings, self.known_sources = settings, known_sources

    def repair(self, wish: Wish | None, run: Run, sequences: Sequence[int]) -> dict[str, int]:
        """Do what the hour's own runs left undone, or what a backfill asks for; returns what was done.

        Everything may be killed and run again. A backfill is recorded, and nothing of it reaches a vendor unless the
        wish says so.
        """
        parts = (self.lake, self.warehouse, self.kafka, self.settings, self.known_sources)
        if wish is None:
            return settling.heal(*parts, sequences) | close_twins(self.warehouse, self._plan_ids(sequences))
        wanted = rehearsal.wanted(self.lake, wish, sequences)
        if not wish.changes:
            found = rehearsal.rehearse(self.lake, self.warehouse, self.kafka, self.settings, wanted)
            log.info("rehearsal of hour %s, nothing was written:\n%s", f"{run.hour:%Y-%m-%d %H}", found.text())
            return found.totals()
        with recorded(self.lake, self.warehouse, run, wish, wanted) as done:
            done.update(self._change(wish, wanted))
            if wish.publish:
                done["to_publish"] = self._publish(wanted)
        log.info("hour %s, mode %s: %s", f"{run.hour:%Y-%m-%d %H}", wish.mode, done)
        return done

    def _change(self, wish: Wish, sequences: Sequence[int]) -> dict[str, int]:
        parts = (self.lake, self.warehouse, self.kafka, self.settings, self.known_sources)
        done = settling.heal(*parts, sequences, offers=False)
        match wish.mode:
            case "reload":
                # A restatement that was killed between lake and warehouse is completed, not mixed with old rows.
                done["replaced"] = replace(self.lake, self.warehouse, self.settings, outdated(self.lake, sequences))
                kind = LoadKind("reload", offers=False)
                done |= load_these(self.lake, self.warehouse, self.settings, sequences, kind)
            case "restate":
                done |= restate(*parts, sequences)
        plan_ids = self._plan_ids(sequences)
        twins = close_twins(self.warehouse, plan_ids)
        # What an earlier re-drive brought is gone with a batch that was replaced, or was deleted by hand.
        if wish.mode in {"redrive", "restate"} or twins["reopened"]:
            done |= redrive(self.lake, self.warehouse, self.settings, self.known_sources, plan_ids)
        return done | twins

    def _plan_ids(self, sequences: Sequence[int]) -> list[str]:
        return [plan.plan_id for plan in map(self.lake.read, sequences) if plan is not None]

    def _publish(self, sequences: Sequence[int]) -> int:
        """Put the plans' events that are in EVENTS and in no load's outbox into it; the vendors' DAGs take it up."""
        manifests: list[Manifest] = list(sealed(self.lake, sequences))
        dates = dates_of(manifests)
        if not dates:
            return 0
        load_id = f"{manifests[0].plan.plan_id}+{len(manifests)}-publish-{uuid4().hex[:8]}"
        values: dict[str, Any] = {
            "load_id": load_id,
            "topic": self.settings.kafka_topic,
            "sequences": [manifest.plan.sequence for manifest in manifests],
            "batches": [manifest.plan.plan_id for manifest in manifests],
        }
        with self.warehouse.transaction("load", load_id) as now:
            count = self.warehouse.run(statement("load/merge", "outbox_late", dates), values, "writing OUTBOX")
            if inserted := int(count[0][0]):
                values["loaded_at"] = now
                self.warehouse.run(statement("load/ledger", "publish"), values, "writing LOADS")
        return inserted
