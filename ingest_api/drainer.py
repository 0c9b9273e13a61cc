"""Brings what was spooled to Kafka once it is back, in bounded parts beside the live requests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.publisher import Publisher
from ingest_api.spool import Spool
from ingest_api.spool_frames import Frame
from ingest_api.spool_segment import Segment

log = logging.getLogger(__name__)

_PART_BYTES = 1024 * 1024
"""In flight at most; a live request waits behind one such part at worst."""
_IDLE_SECONDS = 0.25
_BACK_OFF_SECONDS = 1.0
_STOP_SECONDS = 3.5


class Drainer:
    """Sends file after file of the spool; a record is forgotten only once Kafka has acknowledged it.

    `kafka_answers` says whether Kafka is worth a try. While it does not, nothing is sent: what a frozen broker has in
    its sockets would arrive with it. While Kafka leaves records unacknowledged a part is one record, the probe.
    `topic_well_at` is when the topic was last found as it must be: a record that Kafka calls too large waits for that,
    because mostly it is the topic's limit that is too small.
    """

    def __init__(
        self,
        spool: Spool,
        publisher: Publisher,
        kafka_answers: Callable[[], bool],
        topic_well_at: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._publisher = publisher
        self._kafka_answers = kafka_answers
        self._topic_well_at = topic_well_at
        self._clock = clock
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin in the background."""
        self._task = loop.create_task(self._run())

    async def stop(self) -> None:
        """End after the part that is in flight, so that what Kafka took of it is not sent again."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_STOP_SECONDS)
            self._task.cancel()

    async def turn(self) -> float:
        """Maintain the spool and send its oldest file; return how many seconds to wait before the next turn."""
        await self._spool.maintain()
        if not self._spool.status().waiting_records or not self._kafka_answers():
            return _IDLE_SECONDS
        found = await self._spool.oldest()
        if found is None:
            return _IDLE_SECONDS
        segment, frames = found
        for part in self._parts(frames):
            if not await self._send(segment, part):
                await self._spool.postpone(segment)
                return _BACK_OFF_SECONDS
            if self._stopping.is_set():
                break
        return 0.0

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                seconds = await self.turn()
            except Exception:
                log.exception("drain_failed")
                seconds = _BACK_OFF_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    def _parts(self, frames: list[Frame]) -> Iterator[list[Frame]]:
        at = 0
        while at < len(frames):
            most = 1 if self._publisher.unacknowledged_at is not None else _PART_BYTES
            end, size = at, 0
            while end < len(frames) and (end == at or size + len(frames[end].record.value) <= most):
                size += len(frames[end].record.value)
                end += 1
            yield frames[at:end]
            at = end

    async def _send(self, segment: Segment, part: list[Frame]) -> bool:
        """Send a part and mark what Kafka took; return whether nothing of it is left."""
        outcomes = await asyncio.gather(*map(self._try, part))
        too_large = [frame for frame, outcome in zip(part, outcomes, strict=True) if _is_too_large(outcome)]
        sent = [frame for frame, outcome in zip(part, outcomes, strict=True) if outcome is None]
        refused = []
        for frame in too_large:
            # It may have been the batch that was too large.
            again = await self._try(frame)
            if again is None:
                sent.append(frame)
            elif _is_too_large(again):
                refused.append(frame)
        if not refused:
            segment.refused_at = None
        elif self._is_topic_well(segment):
            await self._spool.refuse(segment, refused)
        else:
            refused = []
        if sent:
            await self._spool.mark(segment, sent)
        return len(sent) + len(refused) == len(part)

    def _is_topic_well(self, segment: Segment) -> bool:
        """Say whether the topic was found as it must be after Kafka first called a record of this file too large."""
        if segment.refused_at is None:
            segment.refused_at = self._clock()
            log.warning("spool_waits_for_topic", extra={"file": str(segment.path)})
        return self._topic_well_at() > segment.refused_at

    async def _try(self, frame: Frame) -> Outcome | None:
        record = frame.record
        try:
            await self._publisher.send(record.key, record.value, [*record.headers])
        except RefusedError as error:
            return error.outcome
        return None


def _is_too_large(outcome: Outcome | None) -> bool:
    return outcome is Outcome.RECORD_TOO_LARGE
