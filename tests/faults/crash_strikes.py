"""What happens to a step at a boundary: its own SIGKILL, another attempt that overtakes it, a part or the network."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.faults.crash_steps import Interval, Order, Outcome, Step
from tests.faults.crash_tally import CUT, DELAY, KILL, LOST, OVERTAKEN, OVERTAKEN_KILLED, PART, Strike, Tally
from tests.faults.crash_world import Scene, World

_WEIGHTS = {KILL: 76, OVERTAKEN_KILLED: 5, OVERTAKEN: 4, PART: 5, CUT: 3, DELAY: 2, LOST: 4}
PARTS = {
    "plan": ("kafka", "azurite"), "drain": ("kafka", "azurite"), "seal": ("azurite",),
    "load": ("snowflake", "azurite"), "commit_offsets": ("kafka", "snowflake"), "offer": ("snowflake",),
    "push": ("amplitude", "snowflake"), "coverage": ("azurite",), "repair": ("kafka", "azurite", "snowflake"),
    "reconcile": ("snowflake", "amplitude", "azurite"),
}  # fmt: skip
_FIRST_STRUCK, _UNTOUCHED = 0.97, 0.75
_STRIKES_AT_MOST: Mapping[str, int] = {"repair": 30, "load": 24, "offer": 24, "reconcile": 24}
"""Steps of many boundaries, of which a round has one each."""
_STRIKES_OF_OTHERS, _CALM_ATTEMPTS = 10, 12
_PAUSE_S, _AWAY_S, _SLOW_S = 0.2, 0.7, 0.02
_VISITS_AT_MOST = 5


class Striker:
    """Runs steps of a scene to their good end, whatever it does to them on the way."""

    def __init__(self, world: World, seed: int, again: float) -> None:
        """Take the chance with which an attempt after the first one is struck too."""
        self._world, self._again, self.tally = world, again, Tally()
        self._random = random.Random(seed)  # noqa: S311 - a schedule, repeatable

    def run(self, step: str, interval: Interval, *arguments: Any) -> Any:
        """Attempt a step as Airflow does until it is done; returns its value."""
        order = Order(step, self._world.audited.environ, interval, arguments)
        attempts = _STRIKES_AT_MOST.get(step, _STRIKES_OF_OTHERS) + _CALM_ATTEMPTS
        for attempt in range(attempts):
            strike = self._choose(step, attempt)
            outcome = self._attempt(order, strike)
            self._remember(step, outcome)
            if outcome.kind == "done":
                return outcome.value
            if outcome.kind != "killed":
                time.sleep(_PAUSE_S)
        raise RuntimeError(f"{step} was not done in {attempts} attempts: {outcome}")

    def _choose(self, step: str, attempt: int) -> Strike | None:
        seen = self.tally.boundaries.get(step)
        is_enough = attempt >= _STRIKES_AT_MOST.get(step, _STRIKES_OF_OTHERS)
        if not seen or is_enough or self._random.random() > (self._again if attempt else _FIRST_STRUCK):
            return None  # the first attempt ever shows where the boundaries are
        crashes = self.tally.crashes
        untouched = dict.fromkeys((name for name in seen if not crashes[step, name]), 1)
        if untouched and self._random.random() < _UNTOUCHED:
            return Strike(KILL, untouched)
        name = self._random.choices(list(seen), [1 / (1 + crashes[step, name]) ** 2 for name in seen])[0]
        visit = self._random.randint(1, min(seen[name], _VISITS_AT_MOST)) if self._random.random() < 0.5 else 1
        kind = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        part = self._random.choice(PARTS[step]) if kind in {PART, CUT, DELAY, LOST} else ""
        return Strike(CUT if (kind, part) in {(DELAY, "kafka"), (LOST, "kafka")} else kind, {name: visit}, part)

    def _attempt(self, order: Order, strike: Strike | None) -> Outcome:
        self.tally.attempts[order.step] += 1
        if strike is None:
            return Step(order).finish()
        step = Step(replace(order, stops=strike.stops))
        boundary = step.await_boundary()
        if boundary is None:
            return step.finish()
        self._count(order.step, boundary, strike)
        return _ACTIONS[strike.kind](self, step, strike)

    def _count(self, step: str, boundary: str, strike: Strike) -> None:
        tally = self.tally
        tally.kinds[strike.kind] += 1
        if strike.kind in {KILL, OVERTAKEN_KILLED, PART}:
            tally.crashes[step, boundary] += 1
        if strike.kind == PART:
            tally.parts[strike.part] += 1
        elif strike.part:
            tally.network[f"{strike.kind}: {strike.part}"] += 1

    def _remember(self, step: str, outcome: Outcome) -> None:
        # What only a failing attempt passes, such as a ROLLBACK, cannot be reached at will.
        if outcome.kind == "done":
            seen = self.tally.boundaries.setdefault(step, Counter())
            for name, visits in outcome.passed.items():
                seen[name] = max(seen[name], visits)
        if outcome.kind in {"failed", "hung"}:
            self.tally.errors[f"{step}: {outcome.error}"] += 1
            if outcome.error != "TransientError":
                self.tally.problems.append(f"{step} {outcome.kind}: {outcome.error}: {outcome.message[:600]}")

    def _kill(self, step: Step, _: Strike) -> Outcome:
        return step.kill()

    def _overtake(self, step: Step, strike: Strike) -> Outcome:
        """Let a second attempt at the same step go from its beginning to its end while the first one waits."""
        self._remember(step.order.step, Step(replace(step.order, stops={})).finish())
        if strike.kind == OVERTAKEN_KILLED:
            return step.kill()
        step.go_on()
        return step.finish()

    def _end_part(self, step: Step, strike: Strike) -> Outcome:
        stack = self._world.stack
        # Killed, Azurite forgets what it acknowledged in the last seconds, as no storage account does.
        (stack.stop_part if strike.part == "azurite" else stack.kill)(strike.part)
        step.go_on()
        stack.start_part(strike.part)
        return step.finish()

    def _cut(self, step: Step, strike: Strike) -> Outcome:
        if strike.part == "kafka":
            return self._freeze(step)
        proxy = self._world.proxies[strike.part]
        proxy.cut()
        step.go_on()
        time.sleep(_AWAY_S)
        proxy.restore()
        return step.finish()

    def _freeze(self, step: Step) -> Outcome:
        """Kafka names its own address to its clients, so no proxy can be between: the broker itself falls silent."""
        self._world.stack.pause("kafka")
        step.go_on()
        time.sleep(_AWAY_S)
        self._world.stack.resume("kafka")
        return step.finish()

    def _delay(self, step: Step, strike: Strike) -> Outcome:
        return self._disturbed(step, strike, lambda: self._world.proxies[strike.part].delay(_SLOW_S))

    def _lose(self, step: Step, strike: Strike) -> Outcome:
        return self._disturbed(step, strike, self._world.proxies[strike.part].lose_next_answer)

    def _disturbed(self, step: Step, strike: Strike, begin: Callable[[], None]) -> Outcome:
        begin()
        try:
            step.go_on()
            return step.finish()
        finally:
            self._world.proxies[strike.part].restore()


_ACTIONS: Mapping[str, Callable[[Striker, Step, Strike], Outcome]] = {
    KILL: Striker._kill, OVERTAKEN_KILLED: Striker._overtake, OVERTAKEN: Striker._overtake, PART: Striker._end_part,
    CUT: Striker._cut, DELAY: Striker._delay, LOST: Striker._lose,
}  # fmt: skip


class Calm:
    """Runs the steps of the twin, to which nothing happens."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def run(self, step: str, interval: Interval, *arguments: Any) -> Any:
        """Run a step once; it must be done."""
        outcome = Step(Order(step, self._scene.environ, interval, arguments)).finish()
        if outcome.kind != "done":
            raise RuntimeError(f"{step} failed although nothing happened to it: {outcome.error}: {outcome.message}")
        return outcome.value
