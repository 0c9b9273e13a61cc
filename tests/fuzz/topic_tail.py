"""Reads a topic on from where it stopped, for tests; shares no code with the API or the drain."""

from __future__ import annotations

import time
from types import TracebackType
from typing import NamedTuple, Self, cast

from confluent_kafka import Consumer, Message, TopicPartition

_PATIENCE_SECONDS = 10.0


class Stored(NamedTuple):
    """A Kafka record as it lies in the topic."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    value: bytes

    def text(self, name: str) -> str | None:
        """Return a header, or None."""
        return next((raw.decode() for found, raw in self.headers if found == name and raw is not None), None)

    @property
    def request_id(self) -> str:
        return self.text("request_id") or ""


class TopicTail:
    """What came since the last look, by request id."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        settings = {"bootstrap.servers": bootstrap, "group.id": "tail", "fetch.wait.max.ms": 100, "log_level": 2}
        self._consumer = Consumer({**settings, "isolation.level": "read_uncommitted", "enable.auto.commit": False})
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._next = dict.fromkeys(partitions, 0)
        self._topic = topic
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        self.waiting: dict[str, list[Stored]] = {}
        """Records that nobody has taken yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def take(self, request_id: str) -> list[Stored]:
        """Return and forget the records of a request that was answered 200: at least one must be there by now."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while request_id not in self.waiting and time.monotonic() < deadline:
            self._consume(0.2)
        return self.waiting.pop(request_id, [])

    def take_all(self) -> dict[str, list[Stored]]:
        """Return and forget everything up to the topic's end."""
        ends = {
            partition: self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=10)[1]
            for partition in self._next
        }
        deadline = time.monotonic() + 3 * _PATIENCE_SECONDS
        while any(self._next[partition] < end for partition, end in ends.items()):
            assert time.monotonic() < deadline, f"the topic could not be read to its end: {self._next} of {ends}"
            self._consume(0.2)
        found, self.waiting = self.waiting, {}
        return found

    def _consume(self, timeout: float) -> None:
        # One at a time: consume() with a number waits for that many.
        message = self._consumer.poll(timeout)
        while message is not None:
            self._keep(message)
            message = self._consumer.poll(0)

    def _keep(self, message: Message) -> None:
        assert not message.error(), message.error()
        headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
        offset, partition = cast("int", message.offset()), cast("int", message.partition())
        stored = Stored(offset, message.timestamp()[1], message.key(), headers, message.value() or b"")
        self._next[partition] = offset + 1
        self.waiting.setdefault(stored.request_id, []).append(stored)
