"""How large a crash audit is, and everything that it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.faults.crash_auditor import Hop, Seen
from tests.faults.crash_tally import Tally
from tests.faults.crash_twin import Compared
from tests.faults.crash_workload import Ledger


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    crashes: int = 500
    requests: int = 24
    """Of every interval."""
    again: float = 0.94
    """Chance that an attempt after the first one is struck as well."""
    everywhere: bool = True
    """Whether no boundary may be left at which nothing died."""
    seconds: float = 5_400.0
    """Nothing is begun after these."""


BOUNDED = Size(crashes=25, requests=8, again=0.5, everywhere=False, seconds=120.0)


@dataclass
class Found:
    """What an audit saw; the report is made of it."""

    seed: int
    began_at: datetime
    ledger: Ledger
    tally: Tally
    rounds: int = 0
    threads: Sequence[str] = ()
    """Of the process that all steps are forked from, other than its first."""
    seen: Seen | None = None
    hops: Sequence[Hop] = ()
    compared: Sequence[Compared] = ()
    lost_answers: Mapping[str, int] = field(default_factory=dict)
    crashing_seconds: float = 0.0
    twin_seconds: float = 0.0

    @property
    def missing(self) -> int:
        """Ids that some hop lost."""
        return sum(hop.missing.total() for hop in self.hops)

    @property
    def twice(self) -> int:
        """Ids that some hop has more often than it must, or should not have at all."""
        return sum(hop.twice.total() + hop.foreign.total() for hop in self.hops)

    @property
    def repeated_share(self) -> float:
        """Share of the events sent that had been sent before."""
        return 1 - len(self.ledger.sent) / self.ledger.sent.total()

    def all_problems(self) -> list[str]:
        """Return a line for everything that is wrong."""
        if not self.hops or not self.compared:
            return ["nothing was compared"]
        wrong = [*self.tally.problems]
        for hop in self.hops:
            wrong += hop.problems()
        for table in self.compared:
            wrong += table.problems()
        return wrong
