"""Waits until everything in the topic has come through to the vendor, and knows which hop it is that has not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime

from include.lake import Lake
from local import clients
from local.board.intervals import Intervals, IntervalState, Step
from local.reader import vendor_ids

_POLL_SECONDS = 2.0
_NEXT: dict[Step, str] = {
    "planned": "is planned and waits for the tasks drain and seal of the DAG stage_events",
    "sealed": "is in the lake and waits for the DAG load_events",
    "loaded": "is in the warehouse and waits for the DAG publish_amplitude",
    "published": "is published and waits for the vendor's importer (log of the part amplitude)",
}


class NotArrivedError(Exception):
    """The time is over; the message names the hop."""


def wait(
    endpoints: Mapping[str, str],
    ends: Mapping[int, int],
    timeout_seconds: float,
    say: Callable[[str], None],
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Return when all records before `ends` were planned, sealed, loaded, published and imported.

    Whether they are the right events is not looked at here. `tick` is called at every poll and keeps the stack going.

    Raises:
        NotArrivedError: one hop did not do its part in time.

    """
    deadline, told = time.monotonic() + timeout_seconds, ""
    with clients.storage(endpoints) as storage:
        container = storage.get_container_client(endpoints["PIPELINE_LAKE_CONTAINER"])
        intervals = Intervals(Lake(container, endpoints["PIPELINE_KAFKA_TOPIC"]))
        while (lacking := _lacking(endpoints, intervals, ends)) is not None:
            if lacking != told:
                say(lacking)
                told = lacking
            if time.monotonic() > deadline:
                raise NotArrivedError(f"Not everything arrived within {timeout_seconds:.0f} s: {lacking}")
            tick()
            time.sleep(_POLL_SECONDS)


def _lacking(endpoints: Mapping[str, str], intervals: Intervals, ends: Mapping[int, int]) -> str | None:
    """Say what is not there yet, the hop nearest to the client first; None when all is there."""
    importer = vendor_ids.stats(endpoints["LOCAL_URL_AMPLITUDE"])["importer"]
    cursor = datetime.fromisoformat(importer["cursor"]) if importer["cursor"] else None
    # A session of its own each time: a stand-in that was started again knows none from before.
    with closing(clients.warehouse(endpoints)) as connection:
        states = intervals.refresh(connection, cursor)
    reached = {part.partition: part.end for state in states for part in state.plan.ranges}
    waiting = sum(max(0, end - reached.get(partition, 0)) for partition, end in ends.items())
    if waiting:
        return f"{waiting} records are in Kafka and wait for the task plan of the DAG stage_events, after their minute"
    return behind(states, imports=bool(importer["enabled"]))


def behind(states: list[IntervalState], *, imports: bool) -> str | None:
    """Say which plan is behind and who has to act, the hop nearest to the client first; None when none is."""
    for step, what in _NEXT.items():
        found = [state for state in states if state.step == step]
        # Where we push, there is no importer whose cursor could tell; the comparison of ids will.
        if found and (imports or step != "published"):
            return f"plan {found[0].plan.plan_id} ({found[0].plan.envelopes} records) {what}"
    return None
