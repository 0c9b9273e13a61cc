"""Limits how many events a source, and each of its devices, may send per second, as its entry in the registry says.

A limit is one number per source or device: until when the events sent so far have used it up. A request passes while
that lies no more than a second ahead, and then moves it on by all of its events. So a batch of any size passes sooner
or later, the rate holds in the long run, and whoever is ahead is refused before anything of the body is read.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from include.contract.sources import Source
from ingest_api.outcomes import Outcome, RefusedError

_BURST_SECONDS = 1.0
_MOST_RETRY_SECONDS = 300
"""The longest that any of the vendors' SDKs waits."""


class Rates:
    """What each source and device of this process has used; of the devices the `most_devices` that sent last."""

    def __init__(self, most_devices: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_devices = most_devices
        self._clock = clock
        self._sources: dict[str, float] = {}
        self._devices: OrderedDict[tuple[str, str], float] = OrderedDict()

    @property
    def devices(self) -> int:
        """Number of devices that are counted at the moment."""
        return len(self._devices)

    def require(self, source: Source) -> None:
        """Raise RefusedError when the source has to wait, before anybody looks at its request."""
        if source.limits.events_per_second:
            _require("source", self._sources.get(source.id, 0.0), self._clock(), source.limits.events_per_second)

    def charge(self, source: Source, device: str | None, events: int) -> None:
        """Count a request's events; raises RefusedError, and counts none, when its source or device has to wait.

        All of a request's events count for its first device: a device sends its own.
        """
        per_source, per_device = source.limits.events_per_second, source.limits.device_events_per_second
        if not per_source and not per_device:
            return
        now = self._clock()
        if per_source:
            used = self._sources.get(source.id, 0.0)
            _require("source", used, now, per_source)
        if per_device and device:
            self._charge_device((source.id, device), events, now, per_device)
        if per_source:
            self._sources[source.id] = max(used, now) + events / per_source

    def give_back(self, source: Source, device: str | None, events: int) -> None:
        """Forget a request's events that `charge` counted and that could not be stored: the client sends them again."""
        per_source, per_device = source.limits.events_per_second, source.limits.device_events_per_second
        if per_source and source.id in self._sources:
            self._sources[source.id] -= events / per_source
        key = (source.id, device or "")
        if per_device and key in self._devices:
            self._devices[key] -= events / per_device

    def _charge_device(self, key: tuple[str, str], events: int, now: float, rate: int) -> None:
        used = self._devices.get(key)
        if used is None:
            used = 0.0
        else:
            # Also where it is refused now: who sends too often must not be forgotten for it.
            self._devices.move_to_end(key)
        _require("device", used, now, rate)
        self._devices[key] = max(used, now) + events / rate
        if len(self._devices) > self._most_devices:
            self._devices.popitem(last=False)


def _require(whose: str, used_until: float, now: float, rate: int) -> None:
    ahead = used_until - now - _BURST_SECONDS
    if ahead > 0:
        seconds = min(math.ceil(ahead), _MOST_RETRY_SECONDS)
        raise RefusedError(
            Outcome.RATE_LIMITED,
            f"the {whose} has sent more than its {rate} events per second; send the same bytes again in {seconds} s",
            retry_after_seconds=seconds,
        )
