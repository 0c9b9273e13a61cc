"""The known set of the smoke run: what is posted, and the client's own record of what was acknowledged."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from local.reader import EventKey
from local.smoke.compare import Posted
from local.traffic import PlannedRequest, TrafficConfig, generate
from local.traffic.model import SOURCES, ExpectedEvent
from local.traffic.sender import Outcome, Sender, Target

_CONNECTIONS = 4
_EVERY_REPEATED = 7


class Ledger:
    """Hears the outcome of every request, from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[EventKey, ExpectedEvent] = {}
        self._acknowledged: Counter[EventKey] = Counter()
        self._sent: Counter[EventKey] = Counter()
        self.refused: Counter[int] = Counter()
        """Requests that were never acknowledged, by their last status; 0 is no answer."""

    def add(self, outcome: Outcome) -> None:
        """Record one request."""
        with self._lock:
            for event in outcome.request.events:
                key = (event.source_id, event.event_id or "")
                self._events[key] = event
                self._sent[key] += outcome.attempts
                self._acknowledged[key] += outcome.acknowledged
            if not outcome.acknowledged:
                self.refused[outcome.status] += 1

    def posted(self) -> dict[EventKey, Posted]:
        """Return every distinct event that was sent."""
        with self._lock:
            return {
                key: Posted(event.expected == "valid", event.consented, self._acknowledged[key], self._sent[key])
                for key, event in self._events.items()
            }


def known_requests(seed: int, events: int) -> tuple[list[PlannedRequest], list[PlannedRequest]]:
    """Return the requests of so many events, and those of them that clients send a second time.

    Malformed, unconsented and late events, events of phones that were offline for days, and wrong clocks are in it.
    """
    config = TrafficConfig(
        seed=seed, start=datetime.now(UTC), users=max(20, events // 20), max_events=events, malformed_ratio=0.03,
        retry_ratio=0.0, offline_ratio=0.08, unconsented_ratio=0.25,
    )  # fmt: skip
    planned = list(generate(config))
    return planned, [request._replace(is_retry=True) for request in planned[::_EVERY_REPEATED]]


def post(requests: Iterable[PlannedRequest], endpoints: Mapping[str, str], ledger: Ledger) -> None:
    """Send the requests as fast as they are taken, each until it is acknowledged or given up."""
    sender = Sender(target(endpoints), _CONNECTIONS, ledger.add)
    sender.start()
    try:
        for request in requests:
            sender.submit(request)
    except BaseException:
        sender.cancel()
        raise
    finally:
        sender.finish()


def target(endpoints: Mapping[str, str]) -> Target:
    """Return the ingest API of a stack with the keys of its sources."""
    keys = {source: endpoints[f"LOCAL_WRITE_KEY_{source.upper().replace('-', '_')}"] for source in SOURCES}
    return Target(endpoints["LOCAL_URL_INGEST"], keys)
