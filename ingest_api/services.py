"""What a worker process holds while it serves: settings, sources, publisher, spool, readiness, metrics."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.sources import WatchedRegistry
from include.errors import TransientError
from ingest_api.admission import Admission
from ingest_api.auth import Authenticator
from ingest_api.body import Bodies
from ingest_api.cors import Cors
from ingest_api.delivery import Delivery
from ingest_api.drainer import Drainer
from ingest_api.grace import Grace
from ingest_api.metrics import Metrics
from ingest_api.numbers import Gauges
from ingest_api.origin import Origin
from ingest_api.publisher import Publisher
from ingest_api.rates import Rates
from ingest_api.readiness import Readiness
from ingest_api.settings import Configuration
from ingest_api.siblings import FOLDER_VARIABLE, Siblings
from ingest_api.spool import Spool, SpoolStatus

if TYPE_CHECKING:
    from ingest_api.tracing import Tracing

_CHECK_TIMEOUT_SECONDS = 3.0
_FLUSH_SECONDS = 1.0
_LOOK_SECONDS = 1.0


class Services(msgspec.Struct, frozen=True):
    """Everything that a verb may need."""

    configuration: Configuration
    sources: WatchedRegistry
    auth: Authenticator
    admission: Admission
    bodies: Bodies
    rates: Rates
    publisher: Publisher
    delivery: Delivery
    spool: Spool | None
    drainer: Drainer | None
    readiness: Readiness
    metrics: Metrics
    siblings: Siblings
    origin: Origin
    cors: Cors
    tracing: Tracing | None


def build(configuration: Configuration, loop: asyncio.AbstractEventLoop) -> Services:
    """Make the services of one process; nothing here waits for Kafka, so that the API starts without it."""
    grace = Grace(configuration.api.grace_seconds)
    sources = WatchedRegistry(configuration.api.sources_path, changed=grace.follow)
    publisher = Publisher(configuration, loop)
    spool = Spool(configuration.api, loop) if configuration.api.spool_dir else None
    readiness = Readiness(
        _topic_check(configuration),
        lambda: publisher.unacknowledged_at,
        sources,
        spool,
        configuration.api.check_interval_seconds,
    )
    admission, rates, metrics = Admission(configuration.api, loop), Rates(configuration.api.rated_devices), Metrics()
    return Services(
        configuration=configuration,
        sources=sources,
        auth=Authenticator(sources, grace),
        admission=admission,
        bodies=Bodies(configuration.api, admission, loop),
        rates=rates,
        publisher=publisher,
        delivery=Delivery(publisher, spool, configuration.topic.max_message_bytes),
        spool=spool,
        drainer=Drainer(spool, publisher, lambda: readiness.kafka_answers, lambda: readiness.topic_well_at)
        if spool
        else None,
        readiness=readiness,
        metrics=metrics,
        siblings=Siblings(
            os.environ.get(FOLDER_VARIABLE, ""),
            lambda: metrics.numbers(_gauges(admission, rates, publisher, spool, readiness)),
        ),
        origin=Origin(configuration.api),
        cors=Cors(configuration.api.cors_origins),
        tracing=_tracing() if configuration.api.traces else None,
    )


def _tracing() -> Tracing:
    from ingest_api.tracing import Tracing  # noqa: PLC0415 - half a second of import that only traces should pay

    return Tracing()


def start(services: Services, loop: asyncio.AbstractEventLoop) -> None:
    """Begin what runs in the background."""
    services.readiness.start()
    services.siblings.start(loop)
    _follow(services.sources, loop)
    if services.drainer:
        services.drainer.start(loop)


def _follow(sources: WatchedRegistry, loop: asyncio.AbstractEventLoop) -> None:
    """Look for new sources while no request asks for them too: nothing that was enabled for a while may be missed."""
    sources.current()
    loop.call_later(_LOOK_SECONDS, _follow, sources, loop)


async def stop(services: Services) -> int:
    """End after the last request; returns how many records Kafka left unacknowledged."""
    services.readiness.stop()
    services.siblings.stop()
    if services.drainer:
        await services.drainer.stop()
    left = services.publisher.close(_FLUSH_SECONDS)
    if services.spool:
        await services.spool.close()
    if services.tracing:
        services.tracing.close()
    return left


def _gauges(
    admission: Admission, rates: Rates, publisher: Publisher, spool: Spool | None, readiness: Readiness
) -> Gauges:
    return Gauges(
        in_flight_requests=admission.requests.taken,
        in_flight_bytes=admission.bytes.taken,
        in_line_requests=admission.requests.waiting + admission.bytes.waiting,
        rated_devices=rates.devices,
        waiting_records=publisher.waiting,
        spool=spool.status() if spool else SpoolStatus(),
        is_ready=not readiness.reasons(),
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
