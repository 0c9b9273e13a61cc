"""Counts what a process does, for `/metrics`; numbers.py has the closed list.

Requests count in plain numbers, which Prometheus' own classes read only when somebody looks: an increment of theirs
costs as much as a small part of the check.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from ingest_api.numbers import BUCKET_SECONDS, BUCKETS, Gauges, Numbers


class Metrics:
    """One instance per process."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._accepted = 0
        self._rejected = 0
        self._bytes = 0
        self._seconds = 0.0
        self._buckets = [0] * len(BUCKETS)

    def answered(self, outcome: str, dialect: str, source_id: str) -> None:
        """Count one answered request; the source is empty where no valid key came."""
        self._requests[outcome, dialect, source_id] += 1

    def stored(self, events: int, rejected: int, size_bytes: int, seconds: float) -> None:
        """Count one request that was durable `seconds` after its arrival."""
        self._accepted += events - rejected
        self._rejected += rejected
        self._bytes += size_bytes
        self._seconds += seconds
        self._buckets[bisect_left(BUCKET_SECONDS, seconds)] += 1

    def numbers(self, gauges: Gauges) -> Numbers:
        """Return everything that was counted, with what holds now."""
        return Numbers(
            requests=tuple((*labels, count) for labels, count in self._requests.items()),
            accepted=self._accepted,
            rejected=self._rejected,
            body_bytes=self._bytes,
            store_seconds=self._seconds,
            buckets=tuple(self._buckets),
            gauges=gauges,
        )
