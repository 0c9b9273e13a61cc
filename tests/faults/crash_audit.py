"""The crash audit (benchmark B9): every step killed at every boundary, then each id is looked for at every hop.

`python -m tests.faults.crash_audit --report docs/crash-audit.md` runs the full size; `--help` says what else. Exit
status 1 when an event is missing or twice, when the twin that nothing happened to differs, or a step failed for good.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.faults import crash_auditor, crash_report, crash_rounds, crash_steps, crash_twin
from tests.faults.crash_found import Found, Size
from tests.faults.crash_rounds import Schedule
from tests.faults.crash_strikes import Calm, Striker
from tests.faults.crash_workload import Clients
from tests.faults.crash_world import World, world


@dataclass
class Audit:
    """One audit; `run` crashes, `repeat` lets the twin follow, `judge` compares."""

    size: Size
    seed: int
    world: World
    say: Callable[[str], None] = lambda _line: None
    found: Found = field(init=False)

    def __post_init__(self) -> None:
        self.clients, self.striker = Clients(self.seed), Striker(self.world, self.seed, self.size.again)
        self.schedule = Schedule(self.world.audited.pipe, self.clients, self.size.requests)
        self.found = Found(self.seed, datetime.now(UTC), self.clients.ledger, self.striker.tally)

    def run(self) -> None:
        """Carry rounds until enough has crashed, and nothing is left untouched where that is asked for."""
        began = time.monotonic()
        while not self._is_enough() and time.monotonic() - began < self.size.seconds:
            self.schedule.carry(self.striker)
            self.found.rounds = len(self.schedule.rounds)
            self.say(f"round {self.found.rounds}: {self.striker.tally.crashed} crashes")
        self.found.crashing_seconds = time.monotonic() - began
        self.found.lost_answers = {name: proxy.lost_answers for name, proxy in self.world.proxies.items()}

    def repeat(self) -> None:
        """Let the twin do what the audited pipeline did, with nothing happening to it."""
        began = time.monotonic()
        crash_rounds.repeat(self.schedule.rounds, Calm(self.world.twin))
        self.found.twin_seconds = time.monotonic() - began

    def judge(self) -> list[str]:
        """Look at every hop and at the twin; returns what is wrong."""
        audited, found = self.world.audited, self.found
        found.seen = crash_auditor.look(
            self.world.servers, self.world.topic, audited.pipe.container, audited.pipe.connect, audited.vendor_url
        )
        found.hops = crash_auditor.judge(found.ledger, found.seen)
        found.compared = crash_twin.compare(audited, self.world.twin)
        return found.all_problems()

    def _is_enough(self) -> bool:
        tally = self.striker.tally
        return tally.crashed >= self.size.crashes and not (self.size.everywhere and tally.untouched())


@contextmanager
def prepared(size: Size, seed: int, folder: Path) -> Iterator[Audit]:
    """Start what an audit needs."""
    crash_steps.warm(str(folder / "airflow"))
    try:
        with world(folder, f"crash-{seed}") as made:
            audit = Audit(size, seed, made)
            audit.found.threads = crash_steps.threads()
            yield audit
    finally:
        crash_steps.cool()


def main(arguments: Sequence[str]) -> int:
    """Run the full size, write the report, and return the exit status."""
    full = Size()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crashes", type=int, default=full.crashes)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--minutes", type=float, default=full.seconds / 60, help="no round begins after these")
    parser.add_argument("--report", type=Path, help="Markdown file to write")
    options = parser.parse_args(arguments)
    size = Size(crashes=options.crashes, seconds=options.minutes * 60)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crash-audit-")))
        audit = stack.enter_context(prepared(size, options.seed, folder.resolve()))
        audit.say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: T201
        audit.run()
        audit.repeat()
        problems = audit.judge()
        text = crash_report.markdown(audit.found)
    print(text)  # noqa: T201
    if options.report:
        options.report.write_text(text)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
