"""The schedule of a crash audit: rounds of intervals that the DAGs' steps carry from Kafka to the vendor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from tests.faults.crash_steps import Interval
from tests.faults.crash_workload import Clients
from tests.integration.pipeline import Pipeline

_SETTLED_BEHIND = timedelta(milliseconds=60)
HEALED_EVERY = 3


class Runner(Protocol):
    """Runs a step to its good end."""

    def run(self, step: str, interval: Interval, *arguments: Any) -> Any:
        """Return what the step returns."""


@dataclass(frozen=True)
class Round:
    """Intervals that are loaded together; in a healed one nobody but settle_hour drains, seals and loads them."""

    intervals: tuple[Interval, ...]
    is_healed: bool

    @property
    def hour(self) -> Interval:
        """The range that settle_hour proves complete."""
        return self.intervals[0][0], self.intervals[-1][1]


class Schedule:
    """Makes one round after the other while the audited pipeline runs, so that the twin can repeat them."""

    def __init__(self, pipe: Pipeline, clients: Clients, requests: int) -> None:
        self._pipe, self._clients, self._requests = pipe, clients, requests
        self._end = datetime.now(UTC)
        self.rounds: list[Round] = []

    def carry(self, runner: Runner) -> Round:
        """Make a round, interval by interval, and carry it to the vendor."""
        number = len(self.rounds)
        healed, intervals = number % HEALED_EVERY == HEALED_EVERY - 1, list[Interval]()
        for _ in range(1 + number % 2):
            intervals.append(self._interval())
            _stage(runner, intervals[-1], only_plan=healed)
        self.rounds.append(Round(tuple(intervals), healed))
        _finish(runner, self.rounds[-1], is_live=True)
        return self.rounds[-1]

    def _interval(self) -> Interval:
        """Produce an interval's requests and end it behind them."""
        begin = self._end
        self._pipe.produce(*self._clients.requests(self._requests))
        self._end = datetime.now(UTC) + _SETTLED_BEHIND
        return begin, self._end


def repeat(rounds: Sequence[Round], runner: Runner) -> None:
    """Carry rounds that another pipeline has carried before; here all of them go the ordinary way."""
    for one in rounds:
        for interval in one.intervals:
            _stage(runner, interval, only_plan=False)
        _finish(runner, Round(one.intervals, is_healed=False), is_live=False)


def _stage(runner: Runner, interval: Interval, *, only_plan: bool) -> None:
    planned = runner.run("plan", interval)
    if only_plan:
        return
    for work in planned:
        runner.run("drain", interval, work)
    runner.run("seal", interval, planned)


def _finish(runner: Runner, one: Round, *, is_live: bool) -> None:
    if not one.is_healed:
        runner.run("load", one.hour)
    covered = runner.run("coverage", one.hour)
    runner.run("repair", one.hour, covered)
    if is_live:  # the group's offsets are the topic's, not the twin's
        runner.run("commit_offsets", one.hour)
    runner.run("offer", one.hour)
    runner.run("push", one.hour)
    runner.run("reconcile", one.hour, covered)
