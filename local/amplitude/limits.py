"""Amplitude's rate limits per device and per user, for the upload routes of the stand-in.

Rates are averages over 30 seconds; the daily quota counts rolling 24 hours in steps of one hour. A request over a limit
is refused whole and does not count. Counts live in memory, so a restart forgives.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

WINDOW_SECONDS = 30
DAY_HOURS = 24
DAILY_QUOTA = 500_000
HOUR_SECONDS = 3600


class _Meter:
    """Events of one id: single entries of the last 30 seconds, and sums per hour of the last day."""

    __slots__ = ("hours", "recent")

    def __init__(self) -> None:
        self.recent: deque[tuple[float, int]] = deque()
        self.hours: dict[int, int] = {}

    def forget(self, now: float) -> None:
        while self.recent and self.recent[0][0] <= now - WINDOW_SECONDS:
            self.recent.popleft()
        oldest = int(now // HOUR_SECONDS) - DAY_HOURS
        for hour in [hour for hour in self.hours if hour <= oldest]:
            del self.hours[hour]

    def add(self, now: float, events: int) -> None:
        self.recent.append((now, events))
        hour = int(now // HOUR_SECONDS)
        self.hours[hour] = self.hours.get(hour, 0) + events


class RateLimits:
    """Counts accepted events and answers the documented 429 body when a request would pass a limit."""

    def __init__(self, clock: Callable[[], float], daily_quota: int = DAILY_QUOTA) -> None:
        self._clock = clock
        self._daily_quota = daily_quota
        self._meters: dict[tuple[str, str], _Meter] = {}
        self._lock = threading.Lock()
        self._next_clean = clock() + HOUR_SECONDS

    def admit(self, events: Sequence[Mapping[str, Any]], events_per_second: int) -> dict[str, Any] | None:
        """Count the events and return None, or return the body of a 429 and count nothing."""
        now = self._clock()
        with self._lock:
            self._clean(now)
            asked = Counter(key for event in events for key in _keys(event))
            throttled, exceeded = self._over(asked, now, events_per_second)
            if throttled or exceeded:
                return _refusal(events, events_per_second, throttled, exceeded)
            for key, count in asked.items():
                self._meters.setdefault(key, _Meter()).add(now, count)
        return None

    def _over(
        self, asked: Counter[tuple[str, str]], now: float, events_per_second: int
    ) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
        throttled: dict[tuple[str, str], int] = {}
        exceeded: dict[tuple[str, str], int] = {}
        for key, count in asked.items():
            meter = self._meters.get(key, _Meter())
            meter.forget(now)
            recent = count + sum(events for _, events in meter.recent)
            today = count + sum(meter.hours.values())
            if recent > events_per_second * WINDOW_SECONDS:
                throttled[key] = -(-recent // WINDOW_SECONDS)
            if today > self._daily_quota:
                exceeded[key] = today
        return throttled, exceeded

    def _clean(self, now: float) -> None:
        if now < self._next_clean:
            return
        self._next_clean = now + HOUR_SECONDS
        for key, meter in list(self._meters.items()):
            meter.forget(now)
            if not meter.hours:
                del self._meters[key]


def _keys(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("device_id", "user_id"):
        if field in event:
            yield field, event[field]


def _refusal(
    events: Sequence[Mapping[str, Any]],
    events_per_second: int,
    throttled: Mapping[tuple[str, str], int],
    exceeded: Mapping[tuple[str, str], int],
) -> dict[str, Any]:
    over = throttled.keys() | exceeded.keys()
    return {
        "code": 429,
        "error": "Too many requests for some devices and users",
        "eps_threshold": events_per_second,
        "throttled_devices": _of("device_id", throttled),
        "throttled_users": _of("user_id", throttled),
        "exceeded_daily_quota_devices": _of("device_id", exceeded),
        "exceeded_daily_quota_users": _of("user_id", exceeded),
        "throttled_events": [index for index, event in enumerate(events) if over.intersection(_keys(event))],
    }


def _of(field: str, rates: Mapping[tuple[str, str], int]) -> dict[str, int]:
    return {value: rate for (name, value), rate in rates.items() if name == field}
