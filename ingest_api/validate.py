"""`POST /v1/events:validate`: say what would become of each event, in the validation after storing too; store nothing.

It takes the body of `POST /v1/events`, and what the SDKs of Amplitude, Segment and RudderStack send to their routes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from include.contract import edge, verdict
from include.contract.dialects import reader
from include.contract.envelope import Envelope
from include.contract.event import Parsed
from include.contract.extra import request_fields
from include.contract.outline import outline
from include.contract.remarks import remarks
from include.contract.sources import Source
from include.contract.splitting import NotARequestError
from ingest_api import events, storing
from ingest_api.counts import require_count, require_few
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Request, Response
from ingest_api.services import Services
from ingest_api.settings import Settings

_KNOWN = "this route takes the bodies of /v1/events, of Amplitude's /2/httpapi and of Segment's /v1/batch"


class _Form(NamedTuple):
    """What a body's own look says about the dialect that it is in."""

    dialect: str
    events_key: str
    sent_at_key: str


_OWN = _Form(events.DIALECT, "events", "sent_at")
_AMPLITUDE = _Form("amplitude", "events", "client_upload_time")
_SEGMENT = _Form("segment", "batch", "sentAt")


async def post_validate(request: Request, services: Services) -> Response:
    """Answer with the number of valid events, the others with their reasons, and what else is worth a look."""
    api = services.configuration.api
    source, _, got = await events.received(request, services)
    text, known = got.inflated, services.origin.of(request.scope)
    return Response(await storing.off_loop(len(text), lambda: _foreseen(request, source, text, known, api)))


def _shown(event_id: str | None) -> str | None:
    return None if event_id is None else event_id[: edge.MOST_ID_CHARACTERS]


def _foreseen(request: Request, source: Source, body: bytes, known: Mapping[str, str], api: Settings) -> bytes:
    try:
        form = _form(body, api.max_events)
        rejected = events.check(body, api).rejected if form is _OWN else {}
        parsed = _parsed(request, source, body, form, known)
    except NotARequestError as error:
        raise RefusedError(Outcome.INVALID_BODY, f"{error}; {_KNOWN}") from error
    require_count(len(parsed.events), api.max_events)
    failed = []
    for index, event in enumerate(parsed.events):
        if reasons := verdict.failures(parsed, index, rejected, request.received_at):
            failed.append({"index": index, "event_id": _shown(event.event_id), "reasons": reasons})
    beside = request_fields(body, form.events_key)
    return msgspec.json.encode(
        {
            "dialect": form.dialect,
            "valid": len(parsed.events) - len(failed),
            "failed": failed,
            "warnings": list(remarks(parsed, beside, form.sent_at_key)),
        }
    )


def _parsed(request: Request, source: Source, body: bytes, form: _Form, known: Mapping[str, str]) -> Parsed:
    envelope = Envelope(
        request_id=request.request_id,
        source_id=source.id,
        dialect=form.dialect,
        received_at=request.received_at,
        content_encoding="identity",
        event_count=0,
        value=body,
        rejected={},
        platform=source.platform,
        **known,
    )
    return reader(form.dialect).parse(body, envelope)


def _form(body: bytes, max_events: int) -> _Form:
    for form in (_OWN, _SEGMENT):
        require_few(body, max_events, form.events_key)
    try:
        seen = outline(body, _OWN.events_key, "api_key", ())
    except NotARequestError as error:
        try:
            outline(body, _SEGMENT.events_key, "writeKey", ())
        except NotARequestError:
            raise error from None
        return _SEGMENT
    is_amplitude = seen.key_literal is not None or ("event_type" in seen.first and "event_name" not in seen.first)
    return _AMPLITUDE if is_amplitude else _OWN
