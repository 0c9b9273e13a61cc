"""What a worker process holds while it serves: settings, sources, publisher, readiness, metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.sources import WatchedRegistry
from include.errors import TransientError
from ingest_api.metrics import Metrics
from ingest_api.publisher import Publisher
from ingest_api.readiness import Readiness
from ingest_api.settings import Configuration

_CHECK_TIMEOUT_SECONDS = 3.0


class Services(msgspec.Struct, frozen=True):
    """Everything that a verb may need."""

    configuration: Configuration
    sources: WatchedRegistry
    publisher: Publisher
    readiness: Readiness
    metrics: Metrics


def build(configuration: Configuration, loop: asyncio.AbstractEventLoop) -> Services:
    """Make the services of one process; nothing here waits for Kafka, so that the API starts without it."""
    sources = WatchedRegistry(configuration.api.sources_path)
    publisher = Publisher(configuration, loop)
    return Services(
        configuration=configuration,
        sources=sources,
        publisher=publisher,
        readiness=Readiness(
            _topic_check(configuration),
            lambda: publisher.unacknowledged_at,
            sources,
            configuration.api.check_interval_seconds,
        ),
        metrics=Metrics(),
    )


def _topic_check(configuration: Configuration) -> Callable[[], object]:
    connection = configuration.api.kafka
    admin = AdminClient(connection.librdkafka(), logger=logging.getLogger("librdkafka"))

    def check() -> object:
        try:
            return topic_spec.check(admin, configuration.topic, _CHECK_TIMEOUT_SECONDS)
        except TransientError as error:
            raise TransientError(
                f"Kafka at {connection.bootstrap_servers} does not answer: start it, or correct "
                f"INGEST_KAFKA_BOOTSTRAP_SERVERS ({error})"
            ) from error

    return check
