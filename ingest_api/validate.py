"""`POST /v1/events:validate`: say what would become of each event, in the validation after storing too; store nothing.

It takes the body of `POST /v1/events`, and what the SDKs of Amplitude, Segment and RudderStack send to their routes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from include.contract import edge, verdict
from include.contract.dialects import reader
from include.contract.envelope import Envelope
from include.contract.event import Parsed
from include.contract.extra import Fields, loose_fields, request_fields
from include.contract.remarks import remarks
from include.contract.sources import Source
from include.contract.splitting import NotARequestError, split
from ingest_api import division, events, foreign, forms, segment, storing
from ingest_api.body import Body
from ingest_api.forms import Form
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Request, Response
from ingest_api.services import Services
from ingest_api.settings import Configuration


async def post_validate(request: Request, services: Services) -> Response:
    """Answer with the number of valid events, the others with their reasons, and what else is worth a look."""
    source, _, got = await events.received(request, services)
    form = forms.said(request.scope.query_string)
    known = {**services.origin.of(request.scope), "platform": source.platform}
    work = partial(_foreseen, request, source, got, form, known, services.configuration)
    try:
        found = await storing.off_loop(len(got.inflated), work)
    except NotARequestError as error:
        raise RefusedError(Outcome.INVALID_BODY, str(error)) from error
    return Response(msgspec.json.encode(found))


def _shown(event_id: str | None) -> str | None:
    return None if event_id is None else event_id[: edge.MOST_ID_CHARACTERS]


def _foreseen(
    request: Request,
    source: Source,
    got: Body,
    said: Form | None,
    known: Mapping[str, str],
    configuration: Configuration,
) -> dict[str, Any]:
    api = configuration.api
    form = said or forms.assumed(got.inflated, api.max_events, lambda seen: segment.is_rudder(request, seen))
    if form.foreign is not None:
        got = foreign.as_taken(got, form.foreign, form.events_key, api.max_events)
        rejected: Mapping[int, str] = {}
    else:
        rejected = events.check(got.inflated, api).rejected
    beside = _beside(got, form)
    rejected = _with_large(got, form, rejected, division.record_bytes(configuration))
    parsed = _parsed(request, source, got.inflated, form, known)
    failed = []
    for index, event in enumerate(parsed.events):
        if reasons := verdict.failures(parsed, index, rejected, request.received_at):
            failed.append({"index": index, "event_id": _shown(event.event_id), "reasons": reasons})
    return {
        "dialect": form.shown,
        "call": form.call,
        "assumed": form.assumed,
        "valid": len(parsed.events) - len(failed),
        "failed": failed,
        "warnings": list(remarks(parsed, beside, form.sent_at_key)),
    }


def _beside(got: Body, form: Form) -> Fields:
    return request_fields(got.inflated, form.events_key) if form.events_key else loose_fields(got.inflated)


def _with_large(got: Body, form: Form, rejected: Mapping[int, str], limit: int) -> Mapping[int, str]:
    """Add the events that no record can hold, as storing them would."""
    if division.fits(len(got.raw), rejected, limit):
        return rejected
    text = got.inflated
    about, cut = (_beside(got, form), split(text, form.events_key)) if form.events_key else ({}, [text])
    return division.reasons(division.pieces(about, form.events_key, cut, rejected, limit))


def _parsed(request: Request, source: Source, body: bytes, form: Form, known: Mapping[str, str]) -> Parsed:
    beside = segment.beside_the_body(request) if form.foreign is segment.DIALECT else {}
    envelope = Envelope(
        request_id=request.request_id,
        source_id=source.id,
        dialect=form.dialect,
        received_at=request.received_at,
        content_encoding="identity",
        event_count=0,
        value=body,
        rejected={},
        call=form.call,
        **known,
        **beside,
    )
    return reader(form.dialect, form.call).parse(body, envelope)
