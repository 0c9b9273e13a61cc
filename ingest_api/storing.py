"""Makes a checked request durable, for every dialect: one envelope, or several where one record could not hold it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec

from include.contract.envelope import ContentEncoding, Envelope
from include.contract.extra import Fields
from include.contract.parts import Part, divide
from include.contract.sources import Source
from include.contract.spelling import masked
from ingest_api.body import Body
from ingest_api.encodings import compressed
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Request
from ingest_api.services import Services

_HEADERS_BYTES = 4_096
_REASON_BYTES = 256
"""Room for a record's key and headers beside its value; more for each reason of a bad event."""
_OFF_LOOP_BYTES = 512 * 1024
T = TypeVar("T")


class Taken(msgspec.Struct, frozen=True, gc=False):
    """A request as the edge found it: what is stored, and how it could be divided."""

    source: Source
    dialect: str
    call: str
    body: Body
    event_count: int
    device: str | None
    events_key: str
    cut: Callable[[], tuple[Fields, list[bytes]]]
    """Returns what the request has beside its events, and the events."""
    rejected: Mapping[int, str] = {}
    known: Mapping[str, str] = {}
    """Further fields of the envelope."""


async def store(request: Request, services: Services, taken: Taken) -> None:
    """Return once every event is durable; RefusedError when one may not be."""
    body = taken.body
    limit = services.configuration.topic.max_message_bytes - _HEADERS_BYTES - _REASON_BYTES * len(taken.rejected)
    if len(body.raw) <= limit:
        envelope = _envelope(request, taken, body.raw, body.encoding)
        await services.delivery.store(taken.device, body.raw, envelope.headers())
    else:
        await _store_parts(request, services, taken, limit)
    rejected = len(taken.rejected)
    services.metrics.stored(taken.event_count, rejected, len(body.raw), time.monotonic() - request.began_at)


def without_keys(got: Body, keys: Iterable[str]) -> Body:
    """Take write keys out of a body, wherever and however a client wrote them: they must not be stored."""
    text = got.inflated
    for key in keys:
        text = masked(text, key)
    if text is got.inflated:
        return got
    return Body(compressed(text) if got.encoding == "gzip" else text, text, got.encoding)


async def off_loop(size_bytes: int, work: Callable[[], T]) -> T:
    """Do work on a body; a large one does not hold up the other requests."""
    return work() if size_bytes < _OFF_LOOP_BYTES else await asyncio.to_thread(work)


async def _store_parts(request: Request, services: Services, taken: Taken, limit: int) -> None:
    envelopes = await asyncio.to_thread(lambda: list(_envelopes(request, taken, limit)))
    await asyncio.gather(
        *(services.delivery.store(taken.device, envelope.value, envelope.headers()) for envelope in envelopes)
    )


def _envelopes(request: Request, taken: Taken, limit: int) -> Iterator[Envelope]:
    if not taken.events_key:
        parts = [Part(0, 1, taken.body.inflated)]
    else:
        about, events = taken.cut()
        parts = list(divide(about, taken.events_key, events, limit))
    for number, part in enumerate(parts, 1):
        value = compressed(part.body)
        if len(value) > limit:
            raise RefusedError(
                Outcome.RECORD_TOO_LARGE,
                f"event {part.start} alone is above {limit:,} bytes; make it smaller, or leave it out",
            )
        rejected = {i - part.start: why for i, why in taken.rejected.items() if 0 <= i - part.start < part.events}
        envelope = _envelope(request, taken, value, "gzip")
        yield msgspec.structs.replace(
            envelope,
            event_count=part.events,
            rejected=rejected,
            part=f"{number}/{len(parts)}" if len(parts) > 1 else "",
        )


def _envelope(request: Request, taken: Taken, value: bytes, encoding: ContentEncoding) -> Envelope:
    return Envelope(
        request_id=request.request_id,
        source_id=taken.source.id,
        dialect=taken.dialect,
        received_at=request.received_at,
        content_encoding=encoding,
        event_count=taken.event_count,
        value=value,
        rejected=taken.rejected,
        call=taken.call,
        traceparent=request.traceparent,
        **taken.known,
    )
