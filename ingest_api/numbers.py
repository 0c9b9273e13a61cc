"""The closed list of metrics that the API shows at `/metrics`; documented in docs/operating.md and held by a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest_api.spool import SpoolStatus

BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BUCKETS = [*(str(bound) for bound in BUCKET_SECONDS), "+Inf"]


class Gauges(msgspec.Struct, frozen=True):
    """What holds at the moment in one process."""

    in_flight_requests: int = 0
    in_flight_bytes: int = 0
    in_line_requests: int = 0
    rated_devices: int = 0
    waiting_records: int = 0
    spool: SpoolStatus = SpoolStatus()
    is_ready: bool = False

    def plus(self, other: Gauges) -> Gauges:
        """Return both processes' together; the age and the files set aside are not a matter of one process."""
        mine, its = self.spool, other.spool
        return Gauges(
            self.in_flight_requests + other.in_flight_requests,
            self.in_flight_bytes + other.in_flight_bytes,
            self.in_line_requests + other.in_line_requests,
            self.rated_devices + other.rated_devices,
            self.waiting_records + other.waiting_records,
            SpoolStatus(
                mine.waiting_records + its.waiting_records,
                mine.waiting_bytes + its.waiting_bytes,
                max(mine.oldest_seconds, its.oldest_seconds),
                max(mine.set_aside_files, its.set_aside_files),
                mine.spooled_records + its.spooled_records,
                mine.failed_records + its.failed_records,
            ),
            self.is_ready and other.is_ready,
        )


class Numbers(msgspec.Struct, frozen=True):
    """What one process has counted, or several together."""

    requests: tuple[tuple[str, str, str, int], ...] = ()
    """Outcome, dialect, source, count."""
    accepted: int = 0
    rejected: int = 0
    body_bytes: int = 0
    store_seconds: float = 0.0
    buckets: tuple[int, ...] = (0,) * len(BUCKETS)
    gauges: Gauges = Gauges()

    def plus(self, other: Numbers) -> Numbers:
        """Return both together."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for *labels, count in [*self.requests, *other.requests]:
            counts[labels[0], labels[1], labels[2]] += count
        return Numbers(
            tuple((*labels, count) for labels, count in counts.items()),
            self.accepted + other.accepted,
            self.rejected + other.rejected,
            self.body_bytes + other.body_bytes,
            self.store_seconds + other.store_seconds,
            tuple(mine + its for mine, its in zip(self.buckets, other.buckets, strict=True)),
            self.gauges.plus(other.gauges),
        )


def text(numbers: Numbers) -> bytes:
    """Write everything in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Shown(numbers))
    return bytes(generate_latest(registry))


class _Shown(Collector):  # type: ignore[misc]
    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        found, gauges = self._numbers, self._numbers.gauges
        yield _requests(found)
        events = CounterMetricFamily("ingest_events", "Events made durable, by verdict", labels=["verdict"])
        events.add_metric(["accepted"], found.accepted)
        events.add_metric(["quarantined"], found.rejected)
        yield events
        yield CounterMetricFamily("ingest_body_bytes", "Bytes of stored request bodies as they came", found.body_bytes)
        yield HistogramMetricFamily(
            "ingest_store_seconds",
            "Time from a request's arrival until it was durable",
            list(zip(BUCKETS, accumulate(found.buckets), strict=True)),
            found.store_seconds,
        )
        yield from _of_the_rooms(gauges)
        yield GaugeMetricFamily("ingest_waiting_records", "Records without Kafka's answer", gauges.waiting_records)
        yield from _of_the_spool(gauges.spool)
        yield GaugeMetricFamily("ingest_ready", "1 when /health/ready answers 200", int(gauges.is_ready))


def _requests(numbers: Numbers) -> Metric:
    labels = ["outcome", "dialect", "source_id"]
    found = CounterMetricFamily("ingest_requests", "Requests answered, by outcome, dialect and source", labels=labels)
    for outcome, dialect, source_id, count in numbers.requests:
        found.add_metric([outcome, dialect, source_id], count)
    return found


def _of_the_rooms(gauges: Gauges) -> Iterator[Metric]:
    yield GaugeMetricFamily("ingest_in_flight_requests", "Requests being worked on", gauges.in_flight_requests)
    yield GaugeMetricFamily("ingest_in_flight_bytes", "Bytes of bodies that are held", gauges.in_flight_bytes)
    yield GaugeMetricFamily("ingest_in_line_requests", "Requests waiting for room", gauges.in_line_requests)
    yield GaugeMetricFamily("ingest_rated_devices", "Devices whose events are counted", gauges.rated_devices)


def _of_the_spool(spool: SpoolStatus) -> Iterator[Metric]:
    yield GaugeMetricFamily("ingest_spool_waiting_records", "Records in the spool", spool.waiting_records)
    yield GaugeMetricFamily("ingest_spool_waiting_bytes", "Bytes of the spool's files", spool.waiting_bytes)
    yield GaugeMetricFamily("ingest_spool_oldest_seconds", "Age of the spool's oldest record", spool.oldest_seconds)
    yield CounterMetricFamily("ingest_spooled_records", "Records answered 200 by the spool", spool.spooled_records)
    yield CounterMetricFamily("ingest_spool_failed_records", "Records the spool did not take", spool.failed_records)
    yield GaugeMetricFamily(
        "ingest_spool_set_aside_files",
        "Files with damage, a torn end, or what Kafka refused",
        spool.set_aside_files,
    )
