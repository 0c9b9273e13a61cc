"""What accept-gap does: find the gaps that stand, write an acceptance to the lake and its rows to the warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from include import gaps, plans, topic
from include.errors import SetupError, TransientError
from include.gaps import Acceptance, Gap
from include.lake import Lake, acceptance_name, part_name
from include.manifest import Part
from include.plans import Plan, TopicState
from include.statements import statement
from include.warehouse import Warehouse, naive


def standing(lake: Lake, kafka: Mapping[str, Any]) -> list[Gap]:
    """Return the gaps that stand right now, without what was accepted of them; reads only.

    Raises:
        SetupError: Kafka has no such topic, or a part refused access.
        TransientError: Kafka or the lake is away.

    """
    newest = plans.latest(lake)
    if newest is None:
        return []
    state = topic.observe(kafka, lake.topic, datetime.now(UTC))
    acceptances = lake.acceptances()
    found = [*gaps.between(newest, state), *_unstaged(lake, newest.sequence, state)]
    return [left for gap in found if (left := gaps.cover(gap, acceptances)[1]) is not None]


def accept(lake: Lake, lost: Sequence[Gap], reason: str, by: str) -> Acceptance:
    """Write an acceptance of exactly these gaps, create-only.

    Raises:
        SetupError: there is no reason, or nobody who gives it.
        TransientError: somebody else accepted something at the same moment.

    """
    if not reason.strip() or not by.strip():
        raise SetupError("an acceptance needs a reason and who gives it: --reason TEXT [--by NAME]")
    number = len(lake.acceptances()) + 1
    made = Acceptance(number, lake.topic, datetime.now(UTC), by.strip(), reason.strip(), tuple(lost))
    if not lake.put_once(acceptance_name(lake.topic, number), made):
        raise TransientError(f"somebody wrote {made.acceptance_id} just now: look at what stands, and accept again")
    return made


def record(lake: Lake, warehouse: Warehouse) -> int:
    """Write the rows of acceptances that CONTROL.ACCEPTED_GAPS lacks; returns how many acceptances it lacked."""
    doing = "reading ACCEPTED_GAPS"
    rows = warehouse.run(statement("gaps/accepted", "recorded"), {"topic": lake.topic}, doing)
    known = {str(acceptance): int(count) for acceptance, count in rows}
    lacking = [one for one in lake.acceptances() if known.get(one.acceptance_id, 0) < len(one.gaps)]
    for one in lacking:
        for gap in one.gaps:
            warehouse.run(statement("gaps/accepted", "record"), _row(one, gap), "writing ACCEPTED_GAPS")
    return len(lacking)


def _unstaged(lake: Lake, newest: int, state: TopicState) -> Iterator[Gap]:
    """Yield what Kafka lost of plans that are not sealed yet."""
    for sequence in sorted(set(range(1, newest + 1)) - lake.sealed_sequences()):
        plan = plans.needed(lake, sequence)
        for part in plan.ranges:
            first = part.end if gaps.recreated(plan, state) else state.low.get(part.partition, part.start)
            gap = gaps.unstaged(plan, part, first)
            if gap is not None and not _is_staged(lake, plan, part):
                yield gap


def _is_staged(lake: Lake, plan: Plan, part: plans.PartitionRange) -> bool:
    return lake.get(part_name(plan, part), Part) is not None


def _row(one: Acceptance, gap: Gap) -> dict[str, Any]:
    return {
        "acceptance_id": one.acceptance_id,
        "topic": one.topic,
        "kind": gap.kind,
        "plan_sequence": gap.sequence,
        "topic_id": gap.topic_id,
        "cluster_id": gap.cluster_id,
        "new_topic_id": gap.new_topic_id or None,
        "new_cluster_id": gap.new_cluster_id or None,
        "kafka_partition": gap.partition,
        "first_offset": gap.start,
        "end_offset": gap.end,
        "records": gap.records,
        "reason": one.reason,
        "accepted_by": one.accepted_by,
        "accepted_at": naive(one.accepted_at),
    }
