"""Plans the requests of all users in the order in which they are due."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from random import Random

from isal import igzip

from local.traffic.catalogue import build
from local.traffic.model import MAX_EVENTS_PER_REQUEST, ExpectedEvent, PlannedRequest, TrafficConfig
from local.traffic.people import Device, People
from local.traffic.times import HOUR_MS, MINUTE_MS, busy, to_datetime
from local.traffic.writer import Writer

FLUSH_EVENTS = 50
FLUSH_RATIO = 0.6
"""Requests that a client sends because 50 events came together; the others end a session early."""
FLUSH_MS = 200
EVENT_MS = 4_000
RETRY_MS = (1_000, 30_000)
TRAVELLERS = 8
"""Every eighth user is seldom in reach: all that user's events come late, in one large request."""
OFFLINE_SOURCE = "phone-app"
OFFLINE_EVENTS = 100
OFFLINE_MS = (3 * HOUR_MS, 21 * 24 * HOUR_MS)
OFFLINE_SESSION_EVENTS = 40
COMPRESS_LEVEL = 1


def generate(config: TrafficConfig) -> Iterator[PlannedRequest]:
    """Yield requests ordered by `due_at`, for ever or up to `config.max_events`; retries come on top.

    The same configuration yields the same bytes; persons and their devices depend on the seed alone, events also on
    `start`, so that two runs never share an event_id by accident.
    """
    return _Traffic(config).requests()


class _Traffic:
    def __init__(self, config: TrafficConfig) -> None:
        if config.start.tzinfo is None:
            raise ValueError("TrafficConfig.start needs a time zone, for example datetime.now(UTC)")
        apps = build(Random(f"apps:{config.seed}"))  # noqa: S311 - believable, not secret
        self._config = config
        self._rng = Random(f"traffic:{config.seed}:{config.start.timestamp()}")  # noqa: S311
        self._people = People(config, apps)
        self._writer = Writer(config, self._rng, apps)

    def requests(self) -> Iterator[PlannedRequest]:
        config, random = self._config, self._rng.random
        due_ms, left = config.start.timestamp() * 1000, config.max_events
        retries: list[tuple[float, int, PlannedRequest]] = []
        number = 0
        while left is None or left > 0:
            while retries and retries[0][0] <= due_ms:
                yield heapq.heappop(retries)[2]
            request = self._request(int(due_ms), left)
            yield request
            if random() < config.retry_ratio:
                number += 1
                again_ms = due_ms + self._rng.randint(*RETRY_MS)
                again = request._replace(is_retry=True, due_at=to_datetime(again_ms))
                heapq.heappush(retries, (again_ms, number, again))
            events = len(request.events)
            left = None if left is None else left - events
            due_ms += events * 1000 / (config.events_per_second * (busy(due_ms) if config.daily_curve else 1))
        while retries:
            yield heapq.heappop(retries)[2]

    def _request(self, due_ms: int, left: int | None) -> PlannedRequest:
        device = self._traveller() if self._rng.random() < self._config.offline_ratio else None
        offline = device is not None
        device = device or self._device()
        count = self._size(offline=offline)
        count = count if left is None else min(count, left)
        if offline:
            texts, expected = self._offline(device, due_ms, count)
        else:
            texts, expected = self._online(device, due_ms, count)
        sent_at = self._writer.minutes(device).text(due_ms + device.skew_ms)
        body = f'{{"sent_at":"{sent_at}","events":[{",".join(texts)}]}}'.encode()
        if self._config.compress:
            body = igzip.compress(body, COMPRESS_LEVEL, mtime=0)
        return PlannedRequest(device.app.source_id, body, to_datetime(due_ms), is_retry=False, events=tuple(expected))

    def _device(self) -> Device:
        # The square makes some users far more active than others; travellers are left to `_traveller`.
        number = int(self._config.users * self._rng.random() ** 2)
        devices = self._people.person(number - 1 if number % TRAVELLERS == TRAVELLERS - 1 else number)
        return devices[int(self._rng.random() * len(devices))]

    def _traveller(self) -> Device | None:
        """Return the phone of a user who is seldom in reach, or None where there is none."""
        number = int(self._config.users * self._rng.random()) // TRAVELLERS * TRAVELLERS + TRAVELLERS - 1
        if number >= self._config.users:
            return None
        device = self._people.person(number)[0]
        return device if device.app.source_id == OFFLINE_SOURCE else None

    def _size(self, *, offline: bool) -> int:
        if self._config.events_per_request is not None:
            return self._config.events_per_request
        if offline:
            return self._rng.randint(OFFLINE_EVENTS, MAX_EVENTS_PER_REQUEST)
        if self._rng.random() < FLUSH_RATIO:
            return FLUSH_EVENTS
        return self._rng.randint(1, FLUSH_EVENTS - 1)

    def _online(self, device: Device, due_ms: int, count: int) -> tuple[list[str], list[ExpectedEvent]]:
        last_ms = due_ms - FLUSH_MS
        first_ms = max(last_ms - int(count * EVENT_MS * (0.5 + self._rng.random())), device.last_ms)
        return self._writer.write(device, min(first_ms, last_ms), last_ms, count)

    def _offline(self, device: Device, due_ms: int, count: int) -> tuple[list[str], list[ExpectedEvent]]:
        """Write several sessions of the time since the phone was last seen, at most three weeks."""
        since_ms = max(due_ms - self._rng.randint(*OFFLINE_MS), device.last_ms)
        sessions = -(-count // OFFLINE_SESSION_EVENTS)
        span_ms = max(due_ms - since_ms - MINUTE_MS, 0) // sessions
        texts: list[str] = []
        expected: list[ExpectedEvent] = []
        for number in range(sessions):
            events = min(OFFLINE_SESSION_EVENTS, count - len(texts))
            first_ms = since_ms + number * span_ms + int(span_ms * 0.6 * self._rng.random())
            last_ms = first_ms + min(events * EVENT_MS, span_ms // 3)
            more = self._writer.write(device, first_ms, last_ms, events)
            texts += more[0]
            expected += more[1]
        return texts, expected
