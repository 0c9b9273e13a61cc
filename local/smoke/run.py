"""One smoke run against a stack that serves: post, repeat, wait, read, compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from local.smoke import arrival
from local.smoke.compare import Hop, compare
from local.smoke.known_set import Ledger, known_requests, post
from local.smoke.scope import Scope, kafka_ends

_INTERVAL_SECONDS = 60
_TICK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Smoke:
    """What a smoke run is asked for."""

    events: int
    seed: int
    timeout_seconds: float
    alone: bool
    """Nobody else posts, so an unknown id anywhere is a difference."""


def smoke(
    endpoints: Mapping[str, str], wish: Smoke, say: Callable[[str], None], tick: Callable[[], None] = lambda: None
) -> list[Hop]:
    """Post the known set and return the comparison of its ids at every hop; `tick` keeps the stack going meanwhile.

    Raises:
        NotArrivedError: something did not come through in time, or was not acknowledged.

    """
    scope, ledger = Scope.now(endpoints, alone=wish.alone), Ledger()
    first, again = known_requests(wish.seed, wish.events)
    post(first, endpoints, ledger)
    say(f"{_count(ledger):,} events acknowledged in {len(first):,} requests")
    if again:
        _await_next_interval(say, tick)
        post(again, endpoints, ledger)
        say(f"{len(again):,} of the requests repeated in a later interval, byte for byte, as clients do")
    if ledger.refused:
        raise arrival.NotArrivedError(
            f"The ingest API did not acknowledge {ledger.refused.total()} requests; last answers {dict(ledger.refused)}"
        )
    arrival.wait(endpoints, kafka_ends(endpoints), wish.timeout_seconds, say, tick)
    say("everything has come through; reading the ids at every hop")
    posted = ledger.posted()
    return compare(posted, scope.read(None if wish.alone else posted))


def _count(ledger: Ledger) -> int:
    return sum(event.acknowledged > 0 for event in ledger.posted().values())


def _await_next_interval(say: Callable[[str], None], tick: Callable[[], None]) -> None:
    left = _INTERVAL_SECONDS - datetime.now(UTC).timestamp() % _INTERVAL_SECONDS + 1
    say(f"the next interval begins in {left:.0f} s")
    until = time.monotonic() + left
    while time.monotonic() < until:
        tick()
        time.sleep(_TICK_SECONDS)
