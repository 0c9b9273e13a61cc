"""`POST /v1/events`: authenticate, read, check, hand to Kafka or the spool, answer once it is durable."""

from __future__ import annotations

import time

import msgspec

from include.contract import edge
from include.contract.envelope import Envelope
from include.contract.sources import Source
from ingest_api import auth, body
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Request, Response
from ingest_api.services import Services

DIALECT = "v1"


async def post_events(request: Request, services: Services) -> Response:
    """Store one batch; the answer 200 means that every event is durable, the bad ones among them."""
    api = services.configuration.api
    source = auth.authenticate(request.scope.headers.get("authorization"), services.sources.current())
    got = await body.read(request, api.max_body_bytes, api.max_inflated_bytes)
    checked = _check(got.inflated, api.max_events)
    envelope = _envelope(request, source, got, checked)
    await services.delivery.store(checked.key, got.raw, envelope.headers())
    services.metrics.stored(
        checked.event_count, len(checked.rejected), len(got.raw), time.monotonic() - request.began_at
    )
    return Response(_answer(checked))


def _check(inflated: bytes, max_events: int) -> edge.Checked:
    try:
        checked = edge.check(inflated)
    except edge.NotARequestError as error:
        raise RefusedError(Outcome.INVALID_BODY, str(error)) from error
    if checked.event_count == 0:
        raise RefusedError(Outcome.NO_EVENTS)
    if checked.event_count > max_events:
        raise RefusedError(
            Outcome.TOO_MANY_EVENTS, f"{checked.event_count} events in one request, the limit is {max_events}"
        )
    return checked


def _envelope(request: Request, source: Source, got: body.Body, checked: edge.Checked) -> Envelope:
    return Envelope(
        request_id=request.request_id,
        source_id=source.id,
        dialect=DIALECT,
        received_at=request.received_at,
        content_encoding=got.encoding,
        event_count=checked.event_count,
        value=got.raw,
        rejected=checked.rejected,
    )


def _answer(checked: edge.Checked) -> bytes:
    if not checked.rejected:
        return b'{"accepted":%d,"quarantined":[]}' % checked.event_count
    quarantined = [
        {"index": index, "event_id": checked.event_ids[index], "reason": reason}
        for index, reason in checked.rejected.items()
    ]
    accepted = checked.event_count - len(quarantined)
    return msgspec.json.encode({"accepted": accepted, "quarantined": quarantined})
