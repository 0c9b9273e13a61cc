"""Every part of the stack killed in turn, Airflow's scheduler with its tasks first: the ids are equal at every hop."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from local.smoke.run import Smoke, smoke
from local.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_500)]
STRIKES = (
    "airflow-scheduler", "snowflake", "airflow-scheduler", "azurite", "airflow-api-server", "airflow-scheduler",
    "kafka", "airflow-dag-processor", "amplitude", "airflow-scheduler",
)  # fmt: skip
_EVERY_SECONDS = 15.0
_AWAY_SECONDS = 3.0


class Strikes:
    """Kills the next part whenever it is time, and starts it again a moment later."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.left = list(STRIKES)
        self._next = time.monotonic() + _EVERY_SECONDS

    def tick(self) -> None:
        """Strike if it is time."""
        self._stack.tick()
        if self.left and time.monotonic() > self._next:
            part = self.left.pop(0)
            self._stack.kill(part)
            time.sleep(_AWAY_SECONDS)
            self._stack.start_part(part)
            self._next = time.monotonic() + _EVERY_SECONDS


def test_every_part_is_killed_while_events_are_on_their_way(tmp_path: Path) -> None:
    said: list[str] = []
    with Stack(tmp_path / "state", ports="free") as stack:
        # The first set meets every strike, and may come through before the last one; the second follows them all.
        strikes = Strikes(stack)
        for seed in (1, 2):
            wish = Smoke(events=5_000, seed=seed, timeout_seconds=600, alone=seed == 1)
            hops = smoke(stack.endpoints, wish, said.append, strikes.tick)
            assert [hop for hop in hops if not hop.is_equal] == [], said
            assert all(hop.found for hop in hops if hop.expected), said
        assert strikes.left == []
