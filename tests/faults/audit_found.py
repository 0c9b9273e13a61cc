"""How large a kill audit is, and everything that it found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.faults.audit_bulk import Counts
from tests.faults.audit_clients import Believed, Pace
from tests.faults.audit_ledger import Ledger
from tests.faults.audit_strikes import Tally
from tests.faults.auditor import Topic, Verdict, Warehouse
from tests.sdks import clients

_EXPECTED_STATUSES = {200, 429, 503}


@dataclass(frozen=True)
class Size:
    """How much of everything; the killing ends when there were enough strikes and enough was acknowledged."""

    strikes: int = 210
    events: int = 1_000_000
    """Distinct events that bulk clients hear 200 for, at least."""
    seconds: float = 3_600.0
    """The killing ends then in any case."""
    bulk_clients: int = 2
    connections: int = 16
    """Of each bulk client, one request in flight on each."""
    events_per_second: float = 3_000.0
    api_processes: int = 2
    sdks: Sequence[str] = tuple(sdk.name for sdk in clients.here())
    pace: Pace = field(default_factory=Pace)


BOUNDED = Size(
    strikes=8, events=10_000, seconds=60.0, bulk_clients=1, events_per_second=2_000.0,
    sdks=("amplitude-node", "segment-python"), pace=Pace(calls=100, per_second=10.0, patience_seconds=30.0),
)  # fmt: skip


@dataclass
class Found:
    """What an audit saw; the report is made of it."""

    seed: int
    began_at: datetime
    tally: Tally = field(default_factory=Tally)
    bulk: Mapping[str, Counts] = field(default_factory=dict)
    sdks: Mapping[str, Believed] = field(default_factory=dict)
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    topic: Topic = field(default_factory=Topic)
    warehouse: Warehouse = field(default_factory=Warehouse)
    verdict: Verdict | None = None
    logged: Counter[str] = field(default_factory=Counter)
    """Events in the logs of the API, those at level info left out."""
    adopted_files: int = 0
    adopted_records: int = 0
    api_starts: int = 0
    broker_starts: int = 0
    ended_by_itself: int = 0
    plans: int = 0
    killing_seconds: float = 0.0
    load_seconds: float = 0.0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        """Take a line of an API's log; a kill may have cut it off."""
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if entry["event"] == "spool_adopted":
            self.adopted_files += 1
            self.adopted_records += entry["records"]
        if entry["level"] != "info":
            self.logged[f"{entry['level']}: {entry['event']}"] += 1

    def statuses(self) -> Counter[int]:
        """Return the bulk clients' answers by status."""
        found: Counter[int] = Counter()
        for counts in self.bulk.values():
            found.update(counts.statuses)
        return found

    def errors(self) -> Counter[str]:
        """Return the bulk clients' attempts without an answer by kind."""
        found: Counter[str] = Counter()
        for counts in self.bulk.values():
            found.update(counts.errors)
        return found

    def all_problems(self) -> list[str]:
        """Return a line for everything that is wrong."""
        found = [*self.problems, *(self.verdict.problems() if self.verdict else ["nothing was compared"])]
        strange = {status: count for status, count in self.statuses().items() if status not in _EXPECTED_STATUSES}
        if strange:
            found.append(f"answers that a good request must never get: {strange}")
        found += [f"{name} asked for {one.foreign}" for name, one in self.sdks.items() if one.foreign]
        return found
