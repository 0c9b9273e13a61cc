"""`POST /v1/events`: authenticate, read, check, hand to Kafka or the spool, answer once it is durable."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

import msgspec

from include.contract import edge, splitting
from include.contract.extra import request_fields
from include.contract.sources import Source
from include.contract.spelling import listed_twice
from ingest_api import auth, storing
from ingest_api.body import Body
from ingest_api.counts import require_count, require_few
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Request, Response
from ingest_api.services import Services
from ingest_api.settings import Settings
from ingest_api.storing import Taken

log = logging.getLogger(__name__)

DIALECT = "v1"
_MOST_REASONS = 5
_REASON_CHARACTERS = 100
EVENTS = "events"


async def post_events(request: Request, services: Services) -> Response:
    """Store one batch; the answer 200 means that every event is durable, the bad ones among them."""
    api = services.configuration.api
    source, key, got = await received(request, services)
    checked = await storing.off_loop(len(got.inflated), lambda: check(got.inflated, api))
    services.rates.charge(source, checked.key, checked.event_count)
    got = await storing.off_loop(len(got.inflated), lambda: storing.without_keys(got, [key]))
    taken = Taken(
        source=source,
        dialect=DIALECT,
        call="",
        body=got,
        event_count=checked.event_count,
        device=checked.key,
        events_key=EVENTS,
        cut=lambda: (request_fields(got.inflated, EVENTS), splitting.split(got.inflated)),
        rejected=checked.rejected,
        known=services.origin.of(request.scope),
    )
    rejected = await storing.store(request, services, taken)
    if rejected:
        checked = _with(checked, rejected, got.inflated)
        _log_quarantined(request, checked)
    return Response(_answer(checked))


async def received(request: Request, services: Services) -> tuple[Source, str, Body]:
    """Return the source that a request speaks for, its write key, and its body; raises RefusedError."""
    request.dialect = DIALECT
    key = auth.write_key(request.scope.headers.get("authorization")) or ""
    source = services.auth.at_once(key)
    request.source_id = source.id
    services.rates.require(source)
    return source, key, await services.bodies.read(request)


def check(inflated: bytes, api: Settings) -> edge.Checked:
    """Return the edge's verdict on an inflated body; raises RefusedError where it is no request, or too long."""
    try:
        if listed_twice(inflated):
            raise edge.NotARequestError("the list events is there twice")
        require_few(inflated, api.max_events, EVENTS)  # after that, as each list there costs it 15 us
        checked = edge.check(inflated, api.max_events)
    except edge.NotARequestError as error:
        raise RefusedError(Outcome.INVALID_BODY, str(error)) from error
    require_count(checked.event_count, api.max_events)
    # In a small body no event can be too large, and the usual one is small.
    return checked if len(inflated) <= api.max_event_bytes else _without_large(checked, inflated, api.max_event_bytes)


def _without_large(checked: edge.Checked, inflated: bytes, limit: int) -> edge.Checked:
    """Reject what is too large for one event; its neighbours are as good as before."""
    reason = f"larger than {limit} bytes"
    large = {index: reason for index, raw in enumerate(splitting.split(inflated)) if len(raw) > limit}
    return _with(checked, {**large, **checked.rejected}, inflated)


def _with(checked: edge.Checked, rejected: Mapping[int, str], inflated: bytes) -> edge.Checked:
    """Return the verdict with events that are bad for their size too."""
    if not (large := rejected.keys() - checked.rejected.keys()):
        return checked
    events = splitting.split(inflated)
    ids = {index: edge.readable_id(events[index]) for index in large}
    return msgspec.structs.replace(
        checked, rejected=dict(sorted(rejected.items())), event_ids={**checked.event_ids, **ids}
    )


def _log_quarantined(request: Request, checked: edge.Checked) -> None:
    """Write one line that names the request; a reason names fields and types, never what a client sent in them."""
    reasons = Counter(reason[:_REASON_CHARACTERS] for reason in checked.rejected.values())
    log.info(
        "quarantined",
        extra={
            "request_id": request.request_id,
            "source_id": request.source_id,
            "events": checked.event_count,
            "quarantined": len(checked.rejected),
            "reasons": dict(reasons.most_common(_MOST_REASONS)),
        },
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
