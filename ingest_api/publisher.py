"""Hands envelopes to Kafka through one idempotent producer and waits for the broker's acknowledgement.

Records are committed in groups: while some are on their way to Kafka the next ones wait here and go out together when
those are acknowledged. librdkafka itself would let its thread spin on a record that lingers behind one in flight
(measured: as much processor time as everything else), and a record that was never handed over is surely not in Kafka
when its deadline passes. Everything happens on the event loop's own thread: a thread that polls for delivery reports
would cost two handovers of the interpreter lock per request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from functools import partial
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.producer import producer_properties
from ingest_api.settings import Configuration

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.001
_IDLE_TICK_SECONDS = 0.5
_HOLD_SECONDS = 0.05
"""How long a group waits for the rest of the one before it, counted from the last record that Kafka acknowledged."""
_SAME_ERROR_SECONDS = 30.0

Acknowledgement = asyncio.Future[None]
Headers = list[tuple[str, str | bytes | None]]


class _Record(NamedTuple):
    key: str | None
    value: bytes
    headers: Headers
    acknowledgement: Acknowledgement


class _Flight:
    """Counts what one producer was given and Kafka has not answered."""

    def __init__(self) -> None:
        self.records = 0
        self.has_moved = False
        """Whether Kafka answered for a record since it was last looked at."""
        self.moved_at: float | None = None
        """When Kafka last answered for a record of the group handed over last; None before that."""


class Publisher:
    """One producer per process; `send` ends once all in-sync replicas have the record."""

    def __init__(self, configuration: Configuration, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._topic = configuration.api.kafka.topic
        self._timeout = configuration.api.kafka_deadline_ms / 1000
        self._linger = configuration.api.linger_ms / 1000
        self._queue_bytes = configuration.api.queue_bytes
        self._properties = producer_properties(configuration)
        self._producer = self._new_producer()
        self._flight = _Flight()
        self._queued: list[_Record] = []
        self._queued_bytes = 0
        self._deadlines: deque[tuple[float, Acknowledgement]] = deque()
        self._timer = loop.call_later(_IDLE_TICK_SECONDS, self._tick)
        self._fatal: str | None = None
        self._logged: dict[str, float] = {}
        self.unacknowledged_at: float | None = None
        """When Kafka last left a record unacknowledged, if it has acknowledged none since (monotonic seconds)."""

    @property
    def waiting(self) -> int:
        """Number of records without an answer from Kafka."""
        return len(self._queued) + self._flight.records

    def send(self, key: str | None, value: bytes, headers: Headers) -> Acknowledgement:
        """Queue a record; the returned future ends when it is acknowledged, or with RefusedError.

        After the deadline a record in flight may still arrive: whoever sends again makes a duplicate, which the
        warehouse removes.
        """
        if self._queued_bytes + len(value) > self._queue_bytes:
            raise RefusedError(Outcome.QUEUE_FULL)
        acknowledgement: Acknowledgement = self._loop.create_future()
        self._deadlines.append((self._loop.time() + self._timeout, acknowledgement))
        self._queued.append(_Record(key, value, headers, acknowledgement))
        self._queued_bytes += len(value)
        if self._flight.records == 0 and len(self._queued) == 1:
            # Whatever else arrives in this turn of the loop goes along.
            self._loop.call_soon(self._begin)
        return acknowledgement

    def close(self, timeout_seconds: float) -> int:
        """Flush what is in flight; returns how many records stayed unacknowledged."""
        self._timer.cancel()
        return int(self._producer.flush(timeout_seconds))

    def _begin(self) -> None:
        self._hand_over()
        # Before librdkafka has gathered the group there is nothing to hear of it.
        self._set_timer(self._linger + _TICK_SECONDS)

    def _hand_over(self) -> None:
        group, self._queued, self._queued_bytes = self._queued, [], 0
        for record in group:
            if not record.acknowledgement.done():
                self._produce(record)
        self._flight.moved_at = None

    def _produce(self, record: _Record) -> None:
        report = partial(self._settle, self._flight, record.acknowledgement)
        try:
            self._producer.produce(self._topic, record.value, record.key, on_delivery=report, headers=record.headers)
            self._flight.records += 1
        except BufferError:
            self._refuse(record.acknowledgement, RefusedError(Outcome.QUEUE_FULL))
        except KafkaException as error:
            self._refuse(record.acknowledgement, _refusal(error.args[0]))

    def _tick(self) -> None:
        seconds = _TICK_SECONDS
        try:
            seconds = self._serve()
        finally:
            self._set_timer(seconds)

    def _serve(self) -> float:
        """Hear of acknowledgements, end what is too late, hand over what may go; returns when to look again."""
        self._producer.poll(0)
        now = self._loop.time()
        if self._flight.has_moved:
            self._flight.has_moved, self._flight.moved_at = False, now
        self._expire(now)
        if self._fatal:
            self._replace_producer(self._fatal)
        if self._queued and self._may_go(now):
            self._hand_over()
            return self._linger + _TICK_SECONDS
        return _TICK_SECONDS if self._deadlines else _IDLE_TICK_SECONDS

    def _may_go(self, now: float) -> bool:
        flight = self._flight
        # A partition without a leader must not hold back the others, and a silent Kafka gets nothing more to lose. A
        # slow Kafka is waited for: librdkafka gives a partition no second group, and spins until it may.
        return flight.records == 0 or (flight.moved_at is not None and now - flight.moved_at > _HOLD_SECONDS)

    def _set_timer(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._tick)

    def _expire(self, now: float) -> None:
        deadlines = self._deadlines
        while deadlines and (deadlines[0][1].done() or deadlines[0][0] <= now):
            _, acknowledgement = deadlines.popleft()
            if not acknowledgement.done():
                self._refuse(acknowledgement, RefusedError(Outcome.NOT_ACKNOWLEDGED))

    def _settle(
        self, flight: _Flight, acknowledgement: Acknowledgement, error: KafkaError | None, _message: Message
    ) -> None:
        flight.records -= 1
        flight.has_moved = True
        if error is None:
            self.unacknowledged_at = None
            if not acknowledgement.done():
                acknowledgement.set_result(None)
            return
        self._log_error(error)
        if not acknowledgement.done():
            self._refuse(acknowledgement, _refusal(error))

    def _refuse(self, acknowledgement: Acknowledgement, refused: RefusedError) -> None:
        if refused.outcome is Outcome.NOT_ACKNOWLEDGED:
            self.unacknowledged_at = time.monotonic()
        acknowledgement.set_exception(refused)

    def _new_producer(self) -> Producer:
        return Producer(self._properties, logger=logging.getLogger("librdkafka"), error_cb=self._on_error)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = f"{error.name()}: {error.str()}"
        self._log_error(error)

    def _log_error(self, error: KafkaError) -> None:
        now, name = time.monotonic(), error.name()
        if now - self._logged.get(name, -_SAME_ERROR_SECONDS) >= _SAME_ERROR_SECONDS:
            self._logged[name] = now
            log.warning("kafka_error", extra={"error": name, "reason": error.str()})

    def _replace_producer(self, reason: str) -> None:
        log.error("producer_replaced", extra={"reason": reason})
        self._fatal = None
        old, self._producer, self._flight = self._producer, self._new_producer(), _Flight()
        # Their fate is unknown; every one of them is spooled, or answered 503 so that the client sends again.
        old.purge(blocking=False)
        old.poll(0)


def _refusal(error: KafkaError) -> RefusedError:
    too_large = error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    return RefusedError(Outcome.RECORD_TOO_LARGE if too_large else Outcome.NOT_ACKNOWLEDGED)
