"""Makes a checked request durable, for every dialect: one envelope, or several where one record could not hold it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from include.contract.envelope import ContentEncoding, Envelope
from include.contract.extra import Fields
from include.contract.sources import Source
from include.contract.spelling import masked
from ingest_api import division
from ingest_api.body import Body
from ingest_api.division import Piece
from ingest_api.encodings import compressed
from ingest_api.publisher import Headers
from ingest_api.rsgi import Request
from ingest_api.services import Services

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


async def store(request: Request, services: Services, taken: Taken) -> Mapping[int, str]:
    """Return the reason of each bad event once every event is durable; RefusedError when one may not be.

    To the bad events of `taken` come those that no record can hold.
    """
    body, rejected, delivery = taken.body, taken.rejected, services.delivery
    limit = division.record_bytes(services.configuration)
    try:
        if division.fits(len(body.raw), rejected, limit):
            envelope = _envelope(request, taken, body.raw, body.encoding)
            await delivery.store(taken.device, body.raw, envelope.headers())
        else:
            found = await asyncio.to_thread(lambda: list(_pieces(taken, limit)))
            rejected = division.reasons(found)
            await asyncio.gather(*(delivery.store(taken.device, *one) for one in _records(request, taken, found)))
    except Exception:
        services.rates.give_back(taken.source, taken.device, taken.event_count)
        raise
    services.metrics.stored(taken.event_count, len(rejected), len(body.raw), time.monotonic() - request.began_at)
    return rejected


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


def _pieces(taken: Taken, limit: int) -> Iterator[Piece]:
    about, events = taken.cut() if taken.events_key else ({}, [taken.body.inflated])
    return division.pieces(about, taken.events_key, events, taken.rejected, limit)


def _records(request: Request, taken: Taken, found: Sequence[Piece]) -> Iterator[tuple[bytes, Headers]]:
    for number, piece in enumerate(found, 1):
        envelope = msgspec.structs.replace(
            _envelope(request, taken, piece.value, "gzip"),
            event_count=piece.events,
            rejected=piece.rejected,
            part=f"{number}/{len(found)}" if len(found) > 1 else "",
        )
        yield envelope.value, envelope.headers()


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
