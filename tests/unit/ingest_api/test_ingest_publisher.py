"""The publisher without a broker: its own deadline, and a queue that is full."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from confluent_kafka import KafkaError, Message

from ingest_api import settings
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.publisher import Publisher, _Flight

# Nothing listens on port 1 of this machine.
AWAY = {"INGEST_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "INGEST_ACK_TIMEOUT_MS": "300"}

MESSAGE = cast("Message", None)
"""What the delivery report brings along and the publisher does not look at."""


def _unacknowledged_at(publisher: Publisher) -> float | None:
    return publisher.unacknowledged_at


def _with_publisher(use: Callable[[Publisher], Awaitable[None]], **more: str) -> None:
    async def run() -> None:
        publisher = Publisher(settings.load({**AWAY, **more}), asyncio.get_running_loop())
        try:
            await use(publisher)
        finally:
            publisher.close(0)

    asyncio.run(run())


def test_the_deadline_is_kept_and_remembered() -> None:
    async def use(publisher: Publisher) -> None:
        assert _unacknowledged_at(publisher) is None
        began = time.monotonic()
        waiting = [publisher.send("k", b"v", [("a", b"b")]) for _ in range(3)]
        for acknowledgement in waiting:
            with pytest.raises(RefusedError) as caught:
                await acknowledgement
            assert caught.value.outcome is Outcome.NOT_ACKNOWLEDGED
        assert 0.25 < time.monotonic() - began < 5
        assert _unacknowledged_at(publisher) is not None
        publisher._settle(_Flight(), asyncio.get_running_loop().create_future(), None, MESSAGE)
        assert _unacknowledged_at(publisher) is None

    _with_publisher(use)


def test_a_full_queue_is_refused_at_once() -> None:
    async def use(publisher: Publisher) -> None:
        waiting = [publisher.send(None, b"x" * 500_000, []) for _ in range(2)]
        with pytest.raises(RefusedError) as caught:
            publisher.send(None, b"x" * 500_000, [])
        assert caught.value.outcome is Outcome.QUEUE_FULL
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(result, RefusedError)

    _with_publisher(use, INGEST_QUEUE_BYTES=str(1024 * 1024))


def test_a_record_above_the_topics_limit_is_refused() -> None:
    async def use(publisher: Publisher) -> None:
        with pytest.raises(RefusedError) as caught:
            await publisher.send(None, bytes(20_000), [])
        assert caught.value.outcome is Outcome.RECORD_TOO_LARGE

    _with_publisher(use, TOPIC_MAX_MESSAGE_BYTES="10000")


def test_the_brokers_answers_become_outcomes() -> None:
    async def use(publisher: Publisher) -> None:
        for code, outcome in (
            (KafkaError.MSG_SIZE_TOO_LARGE, Outcome.RECORD_TOO_LARGE),
            (KafkaError.NOT_ENOUGH_REPLICAS, Outcome.NOT_ACKNOWLEDGED),
            (KafkaError._MSG_TIMED_OUT, Outcome.NOT_ACKNOWLEDGED),
        ):
            acknowledgement: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            publisher._settle(_Flight(), acknowledgement, KafkaError(code), MESSAGE)
            with pytest.raises(RefusedError) as caught:
                await acknowledgement
            assert caught.value.outcome is outcome

    _with_publisher(use)


def test_a_fatal_error_replaces_the_producer() -> None:
    async def use(publisher: Publisher) -> None:
        before = publisher._producer
        lost = publisher.send(None, b"v", [])
        publisher._on_error(KafkaError(KafkaError._FATAL, "sequence out of order", fatal=True))
        with pytest.raises(RefusedError):
            await lost
        assert publisher._producer is not before
        assert publisher.waiting == 0

    _with_publisher(use, INGEST_ACK_TIMEOUT_MS="5000")


def test_a_group_waits_for_the_one_before_it() -> None:
    async def use(publisher: Publisher) -> None:
        first = publisher.send(None, b"1", [])
        second = publisher.send(None, b"2", [])
        await asyncio.sleep(0.02)
        assert len(publisher._producer) == 2, "what came in one turn of the loop goes together"
        third = publisher.send(None, b"3", [])
        await asyncio.sleep(0.1)
        assert len(publisher._producer) == 2, "a silent Kafka gets nothing more"
        assert publisher.waiting == 3
        for late in (first, second, third):
            with pytest.raises(RefusedError):
                await late

    _with_publisher(use)


def test_groups_go_on_while_kafka_acknowledges_some() -> None:
    async def use(publisher: Publisher) -> None:
        slow = publisher.send(None, b"slow", [])
        quick = publisher.send(None, b"quick", [])
        await asyncio.sleep(0.02)
        publisher._settle(publisher._flight, quick, None, MESSAGE)
        waiting = publisher.send(None, b"next", [])
        await asyncio.sleep(0.15)
        assert publisher._queued == []
        assert not slow.done()
        await quick
        for late in (slow, waiting):
            with pytest.raises(RefusedError):
                await late

    _with_publisher(use)


def test_a_group_waits_for_a_kafka_that_is_slow() -> None:
    async def use(publisher: Publisher) -> None:
        group = [publisher.send(None, b"%d" % number, []) for number in range(4)]
        await asyncio.sleep(0.02)
        waiting = publisher.send(None, b"next", [])
        for acknowledgement in group[:3]:
            await asyncio.sleep(0.03)
            publisher._settle(publisher._flight, acknowledgement, None, MESSAGE)
            assert len(publisher._queued) == 1, "librdkafka would spin on what a partition may not have yet"
        publisher._settle(publisher._flight, group[3], None, MESSAGE)
        await asyncio.sleep(0.02)
        assert publisher._queued == []
        await asyncio.gather(*group)
        with pytest.raises(RefusedError):
            await waiting

    _with_publisher(use)
