"""Gives a stack a past: hours of believable events, staged and loaded as if they had arrived then; for backfills."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from bench.backlog import envelope_of
from include import loading, plans, publishing, sealing, staging, topic
from include.contract import sources
from include.destinations.amplitude import Amplitude
from include.lake import Lake
from include.settings import PipelineSettings, pipeline_settings
from include.warehouse import Warehouse
from local import clients
from local.stack import Stack
from local.traffic import PlannedRequest, TrafficConfig, generate

INTERVAL = timedelta(minutes=5)
_LATER = datetime(2200, 1, 1, tzinfo=UTC)


class Past:
    """The clients of a stack whose stage_events does not run."""

    def __init__(self, stack: Stack, lake: Lake) -> None:
        self.lake = lake
        self.settings: PipelineSettings = pipeline_settings(stack.endpoints)
        self.kafka: dict[str, Any] = {"bootstrap.servers": stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]}
        self.known = sorted(sources.load(Path(self.settings.sources_file)).sources)
        self.producer = Producer({**self.kafka, "enable.idempotence": True})

    def interval(self, start: datetime, requests: list[PlannedRequest]) -> None:
        """Produce the requests and stage them as the interval that begins at `start`."""
        for request in requests:
            envelope = envelope_of(request)
            self.producer.produce(self.settings.kafka_topic, envelope.value, headers=envelope.headers())
        if self.producer.flush(60):
            raise RuntimeError("Kafka did not take everything")
        made = plans.plan_interval(
            self.lake,
            (start, start + INTERVAL),
            lambda: topic.observe(
                self.kafka, self.settings.kafka_topic, datetime.max.replace(year=2200, tzinfo=start.tzinfo)
            ),
            self.settings.plan_max_envelopes,
            self.settings.plan_max_per_run,
        )
        for work in staging.drain_work(self.lake, self.settings, plans.numbered(made)):
            staging.drain_partitions(self.lake, self.kafka, self.settings, self.known, **work)
        sealing.seal_plans(self.lake, plans.numbered(made))


def give(stack: Stack, start: datetime, hours: int, events_per_second: float) -> None:
    """Stage and load `hours` hours from `start` on, and offer them."""
    with clients.storage(stack.endpoints) as storage, closing(clients.warehouse(stack.endpoints)) as connection:
        settings = pipeline_settings(stack.endpoints)
        past = Past(stack, Lake(storage.get_container_client(settings.lake_container), settings.kafka_topic))
        for begin, requests in _intervals(start, start + timedelta(hours=hours), events_per_second):
            past.interval(begin, requests)
        warehouse = Warehouse(connection)
        loading.load_sealed(past.lake, warehouse, settings)
        publishing.offer(warehouse, Amplitude("http://127.0.0.1:9", "key", "secret"), settings)


def _intervals(
    start: datetime, end: datetime, events_per_second: float
) -> Iterator[tuple[datetime, list[PlannedRequest]]]:
    config = TrafficConfig(seed=1, start=start, events_per_second=events_per_second, daily_curve=False)
    planned = takewhile(lambda request: request.due_at < end, generate(config))
    arrived: defaultdict[int, list[PlannedRequest]] = defaultdict(list)
    for request in planned:
        arrived[(request.due_at - start) // INTERVAL].append(request)
    for number in range((end - start) // INTERVAL):
        yield start + number * INTERVAL, arrived[number]
