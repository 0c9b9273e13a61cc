"""What the clients of a crash audit send: about 30 % of it a second time, in every way in which clients repeat."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local.reader import EventKey
from tests.integration.pipeline import SOURCES, Request, event, request

_AGES_DAYS = (0, 0, 0, 1, 30, 90)
_FAILED_SHARE, _SILENT_SHARE, _REPEATED_SHARE = 0.05, 0.15, 0.3
_REMEMBERED = 60


@dataclass
class Ledger:
    """What was sent and acknowledged: how often each id, and what must become of it."""

    sent: Counter[EventKey] = field(default_factory=Counter)
    valid: set[EventKey] = field(default_factory=set)
    failed: set[EventKey] = field(default_factory=set)
    consented: set[EventKey] = field(default_factory=set)
    """Of the valid ones those that the vendor may see."""
    repeated: Counter[str] = field(default_factory=Counter)
    """Events sent again, by the way in which they were."""


@dataclass(frozen=True)
class _Sent:
    source: str
    events: tuple[dict[str, Any], ...]
    record: Request


class Clients:
    """Makes requests from a seed, and remembers what they carry."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a workload, repeatable
        self._counts: Counter[str] = Counter()
        self._earlier: list[_Sent] = []
        self.ledger = Ledger()

    def requests(self, count: int) -> list[Request]:
        """Return the requests of one interval; what they repeat may be of this interval or of any before."""
        return [self._repeat() if self._repeats() else self._new() for _ in range(count)]

    def _repeats(self) -> bool:
        # The rest of the repetitions are inside the new requests.
        return bool(self._earlier) and self._random.random() < _REPEATED_SHARE * 0.9

    def _new(self) -> Request:
        source = self._random.choice(SOURCES)
        events = [self._event(source) for _ in range(self._random.randint(4, 12))]
        if self._random.random() < 0.3:
            events.append(events[0])
            self.ledger.repeated["inside its request"] += 1
        return self._send(source, events, self._random.randrange(4))

    def _repeat(self) -> Request:
        earlier = self._random.choice(self._earlier[-_REMEMBERED:])
        way = self._random.choice(("the same bytes", "another sent_at", "among new events", "another partition"))
        self.ledger.repeated[way] += len(earlier.events)
        if way in {"the same bytes", "another partition"}:
            self.ledger.sent.update((earlier.source, str(one["event_id"])) for one in earlier.events)
            where = earlier.record.partition if way == "the same bytes" else self._random.randrange(4)
            return Request(earlier.record.value, earlier.record.headers, where)
        events = list(earlier.events)
        if way == "among new events":
            events.insert(1, self._event(earlier.source))
        return self._send(earlier.source, events, earlier.record.partition, remember=False)

    def _send(self, source: str, events: Sequence[dict[str, Any]], partition: int, *, remember: bool = True) -> Request:
        self.ledger.sent.update((source, str(one["event_id"])) for one in events)
        record = request(*events, source_id=source, partition=partition)
        if remember:
            self._earlier.append(_Sent(source, tuple(events), record))
        return record

    def _event(self, source: str) -> dict[str, Any]:
        chance = self._random.random()
        # Every source counts for itself, so that one id exists in several of them.
        self._counts[source] += 1
        event_id = f"e-{self._counts[source]}"
        key = (source, event_id)
        occurred = datetime.now(UTC) - timedelta(days=self._random.choice(_AGES_DAYS))
        person = self._random.randrange(50)
        made = event(
            event_id, occurred_at=occurred.isoformat(), user_id=f"user-{person}", device_id=f"device-{person}",
            event_properties={"screen": f"screen-{person % 7}", "position": self._counts[source]},
        )  # fmt: skip
        if chance < _FAILED_SHARE:
            self.ledger.failed.add(key)
            return {**made, "platform": "symbian"}
        self.ledger.valid.add(key)
        if chance < _FAILED_SHARE + _SILENT_SHARE:
            return {**made, "consent": {"analytics": False}}
        self.ledger.consented.add(key)
        return made
