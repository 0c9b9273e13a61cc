"""The closed list of metrics that the API shows at `/metrics`; documented in docs/operating.md and held by a test.

Requests count in plain numbers, which Prometheus' own classes read only when somebody looks: an increment of theirs
costs as much as a small part of the check.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest_api.spool import SpoolStatus

_BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BUCKETS = [*(str(bound) for bound in _BUCKET_SECONDS), "+Inf"]


class Metrics(Collector):  # type: ignore[misc]
    """One instance per process."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._accepted = 0
        self._rejected = 0
        self._bytes = 0
        self._seconds = 0.0
        self._buckets = [0] * len(_BUCKETS)
        self._waiting = 0
        self._spool = SpoolStatus()
        self._ready = False

    def answered(self, outcome: str, dialect: str, source_id: str) -> None:
        """Count one answered request; the source is empty where no valid key came."""
        self._requests[outcome, dialect, source_id] += 1

    def stored(self, events: int, rejected: int, size_bytes: int, seconds: float) -> None:
        """Count one request that was durable `seconds` after its arrival."""
        self._accepted += events - rejected
        self._rejected += rejected
        self._bytes += size_bytes
        self._seconds += seconds
        self._buckets[bisect_left(_BUCKET_SECONDS, seconds)] += 1

    def render(self, waiting: int, spool: SpoolStatus = SpoolStatus(), *, ready: bool) -> bytes:  # noqa: B008
        """Write everything in Prometheus' text format."""
        self._waiting, self._spool, self._ready = waiting, spool, ready
        registry = CollectorRegistry()
        registry.register(self)
        return bytes(generate_latest(registry))

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of the list."""
        labels = ["outcome", "dialect", "source_id"]
        requests = CounterMetricFamily(
            "ingest_requests", "Requests answered, by outcome, dialect and source", labels=labels
        )
        for values, count in self._requests.items():
            requests.add_metric(values, count)
        yield requests
        events = CounterMetricFamily("ingest_events", "Events made durable, by verdict", labels=["verdict"])
        events.add_metric(["accepted"], self._accepted)
        events.add_metric(["rejected"], self._rejected)
        yield events
        yield CounterMetricFamily("ingest_body_bytes", "Bytes of stored request bodies as they came", self._bytes)
        yield HistogramMetricFamily(
            "ingest_store_seconds",
            "Time from a request's arrival until it was durable",
            list(zip(_BUCKETS, accumulate(self._buckets), strict=True)),
            self._seconds,
        )
        yield GaugeMetricFamily("ingest_waiting_records", "Records without Kafka's answer", self._waiting)
        yield from self._of_the_spool()
        yield GaugeMetricFamily("ingest_ready", "1 when /health/ready answers 200", int(self._ready))

    def _of_the_spool(self) -> Iterator[Metric]:
        spool = self._spool
        yield GaugeMetricFamily("ingest_spool_waiting_records", "Records in the spool", spool.waiting_records)
        yield GaugeMetricFamily("ingest_spool_waiting_bytes", "Bytes of the spool's files", spool.waiting_bytes)
        yield GaugeMetricFamily("ingest_spool_oldest_seconds", "Age of the spool's oldest record", spool.oldest_seconds)
        yield CounterMetricFamily("ingest_spooled_records", "Records answered 200 by the spool", spool.spooled_records)
        yield CounterMetricFamily("ingest_spool_failed_records", "Records the spool did not take", spool.failed_records)
        yield GaugeMetricFamily(
            "ingest_spool_set_aside_files", "Files with damage, or with what Kafka refused", spool.set_aside_files
        )
