"""The grace period of a key that may not send: until it is over, clients are asked to try again instead of refused.

An operator's mistake (a source switched off, a key retired too early) must not make mobile SDKs delete their events,
which they do on 400, 401 and 404; see docs/sources.md.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from include.contract.sources import Registry, hash_key

CAPACITY = 10_000


class Grace:
    """Remembers when each refused key was first seen; a process has its own memory, and it holds no key.

    Whatever is forgotten, by a restart or because more keys than `capacity` were refused, begins its grace again: the
    honest answer may come late, never early.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic, capacity: int = CAPACITY) -> None:
        self._seconds = seconds
        self._clock = clock
        self._capacity = capacity
        self._first_seen: OrderedDict[str, float] = OrderedDict()
        """By hash of the key, the longest known first."""

    def __len__(self) -> int:
        return len(self._first_seen)

    def follow(self, registry: Registry) -> None:
        """Forget the keys that may send again; to be called with every registry that is read.

        Not only when a key itself asks: a source that is enabled and disabled again while a process hears nothing from
        it has a whole grace period anew.
        """
        for key_hash in self._first_seen.keys() & registry.by_key_hash.keys():
            if registry.by_key_hash[key_hash].enabled:
                del self._first_seen[key_hash]

    def is_over(self, key: str) -> bool:
        """Say whether a key that may not send, unknown or of a disabled source, was refused long enough."""
        if self._seconds <= 0:
            return True
        key_hash, now = hash_key(key), self._clock()
        first_seen = self._first_seen.setdefault(key_hash, now)
        if len(self._first_seen) > self._capacity:
            self._first_seen.popitem(last=False)
        return now - first_seen >= self._seconds
