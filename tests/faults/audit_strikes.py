"""The strikes of the kill audit: a seeded schedule of what is killed when, and the hand that carries it out."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.faults.audit_targets import Api, Broker, Target

Kind = Literal["one API process", "an API worker alone", "all API processes", "the broker", "the broker and the API"]
KINDS: dict[Kind, int] = {
    "one API process": 34,
    "an API worker alone": 8,
    "all API processes": 12,
    "the broker": 28,
    "the broker and the API": 18,
}
"""What a strike kills, with its weight in the schedule."""
_UP_SECONDS = 60.0


@dataclass(frozen=True)
class Strike:
    """One strike; zero seconds mean that the part is left out."""

    kind: Kind
    target: int
    pause_seconds: float
    frozen_seconds: float
    thawed: bool
    """Frozen and let go on, nothing killed."""
    down_seconds: float
    again_seconds: float
    settles: bool


def schedule(seed: int) -> Iterator[Strike]:
    """Yield strikes without end, the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    while True:
        frozen = chance.random() < 0.12
        yield Strike(
            kind=chance.choices(list(KINDS), list(KINDS.values()))[0],
            target=chance.randrange(1_000),
            pause_seconds=chance.uniform(0.2, 2.5),
            frozen_seconds=chance.choice((0.5, 1.5, 3.0, 6.0)) if frozen else 0.0,
            thawed=frozen and chance.random() < 0.6,
            down_seconds=chance.choice((0.0, 0.0, 0.0, 0.5, 1.0, 4.0)),
            again_seconds=chance.uniform(0.05, 1.0) if chance.random() < 0.2 else 0.0,
            settles=chance.random() < 0.7,
        )


@dataclass
class Tally:
    """What the strikes did."""

    killed: Counter[str] = field(default_factory=Counter)
    frozen: Counter[str] = field(default_factory=Counter)
    again: int = 0
    frozen_before: int = 0
    processes: int = 0

    @property
    def strikes(self) -> int:
        """Number of strikes that killed something that was alive."""
        return self.killed.total()


class Killer:
    """Carries out one strike after the other."""

    def __init__(self, broker: Broker, apis: Sequence[Api], seed: int) -> None:
        self.tally = Tally()
        self._broker, self._apis = broker, apis
        self._schedule = schedule(seed)

    def run(self, is_enough: Callable[[Tally], bool]) -> None:
        """Strike until it is enough, then wait until everything serves."""
        while not is_enough(self.tally):
            self._carry_out(next(self._schedule))
        self.settle()

    def settle(self) -> None:
        """Wait until everything serves; raises TimeoutError when something does not come back."""
        deadline = time.monotonic() + _UP_SECONDS
        targets: list[Broker | Api] = [self._broker, *self._apis]
        for target in targets:
            while not target.is_up():
                if target.error:
                    raise target.error
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{target.name} does not serve {_UP_SECONDS:.0f} s after the last strike")
                time.sleep(0.05)

    def _carry_out(self, strike: Strike) -> None:
        time.sleep(strike.pause_seconds)
        targets = self._targets(strike)
        if strike.frozen_seconds:
            self._freeze(strike, targets)
            if strike.thawed:
                return
        worker_alone = strike.kind == "an API worker alone"
        for again in (False, True) if strike.again_seconds else (False,):
            if again:
                time.sleep(strike.again_seconds)
            found = self._apis[strike.target % len(self._apis)].kill_worker() if worker_alone else 0
            found += sum(target.kill(strike.down_seconds) for target in targets)
            self._count(strike, found, again)
        if strike.settles:
            self.settle()

    def _freeze(self, strike: Strike, targets: Sequence[Target]) -> None:
        for target in targets:
            target.freeze()
        time.sleep(strike.frozen_seconds)
        if strike.thawed:
            for target in targets:
                target.thaw()
            self.tally.frozen[strike.kind] += bool(targets)
        else:
            self.tally.frozen_before += bool(targets)

    def _count(self, strike: Strike, processes: int, again: bool) -> None:
        self.tally.processes += processes
        if again:
            self.tally.again += bool(processes)
        else:
            self.tally.killed[strike.kind] += bool(processes)

    def _targets(self, strike: Strike) -> list[Target]:
        api: Target = self._apis[strike.target % len(self._apis)]
        found: dict[Kind, list[Target]] = {
            "one API process": [api],
            "an API worker alone": [],
            "all API processes": [*self._apis],
            "the broker": [self._broker],
            "the broker and the API": [self._broker, *self._apis],
        }
        targets = found[strike.kind]
        # Which of them dies first is a matter of chance as well.
        return targets[::-1] if strike.target % 2 else targets
