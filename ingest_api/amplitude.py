"""Amplitude's routes: HTTP V2, Batch, Identify and Group Identify, as its SDKs and HTTP clients use them."""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw

from include.contract.extra import Fields, join, loose_fields
from include.contract.spelling import listed_twice
from include.contract.splitting import NotARequestError
from ingest_api.foreign import Dialect, Taking, take
from ingest_api.rsgi import Request, Response
from ingest_api.services import Services

_MOST_FORM_FIELDS = 20
_LIST = "identification"
_NEITHER, _TWICE = "neither JSON nor a form", "identification is there twice"


def identification(body: bytes) -> bytes:
    """Return an Identify request, which may be a form and may hold one object or a list, as JSON with a list.

    Raises NotARequestError for what is neither JSON nor a form, and for a second `identification` beside the first.
    """
    if body.lstrip()[:1] != b"{":
        return _listed(_form(body))
    try:
        fields = loose_fields(body)
    except NotARequestError:
        return body  # whose place of damage is told later
    if bytes(fields.get(_LIST, b"[]"))[:1] == b"[":
        return body
    if listed_twice(body, _LIST):
        raise NotARequestError(_TWICE)
    return _listed(fields)


def _listed(fields: Fields) -> bytes:
    found = bytes(fields[_LIST])
    return join({**fields, _LIST: Raw(found if found[:1] == b"[" else b"[" + found + b"]")})


def _form(body: bytes) -> Fields:
    # Bytes that are not UTF-8 stay as they are in an event, and cost that event alone.
    text = body.decode(errors="surrogateescape")
    try:
        pairs = parse_qsl(text, strict_parsing=True, max_num_fields=_MOST_FORM_FIELDS, errors="surrogateescape")
    except ValueError as error:
        # What the error says is the client's own text, which belongs neither in a log nor in an answer.
        raise NotARequestError(_NEITHER) from error
    times = sum(name == _LIST for name, _ in pairs)
    if times != 1:
        raise NotARequestError(_TWICE if times else _NEITHER)
    return {_text(name): _value(name, one) for name, one in pairs}


def _value(name: str, text: str) -> Raw:
    if name == _LIST:
        return Raw(text.strip().encode(errors="surrogateescape"))
    return Raw(msgspec.json.encode(_text(text)))


def _text(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")


_DEVICES = ("device_id", "user_id")
# Its SDKs wait 30 s with the events of these indexes, and burn their attempts on the others; there may be more of them
# than events (HTTP V2 API: at most 2,000), so nobody has to look at the body for it.
_THROTTLED = {"throttled_events": Raw(msgspec.json.encode(list(range(2_000))))}
_EVENTS = Dialect("amplitude", "api_key", _DEVICES, when_throttled=_THROTTLED)
_IDENTIFY = Dialect("amplitude", "api_key", _DEVICES, identification, _THROTTLED)


def of_call(call: str) -> Dialect:
    """Return how the route of a call takes its bodies."""
    return _IDENTIFY if call in {"identify", "groupidentify"} else _EVENTS


async def post_httpapi(request: Request, services: Services) -> Response:
    """Store what an Amplitude SDK sends."""
    return _answer(request, await take(request, services, _EVENTS, "httpapi", "events"))


async def post_batch(request: Request, services: Services) -> Response:
    """Store a batch of up to 20 MB."""
    return _answer(request, await take(request, services, _EVENTS, "batch", "events"))


async def post_identify(request: Request, services: Services) -> Response:
    """Store changes of user properties, each as an event `$identify`."""
    return _answer(request, await take(request, services, _IDENTIFY, "identify", "identification"))


async def post_groupidentify(request: Request, services: Services) -> Response:
    """Store changes of group properties, each as an event `$groupidentify`."""
    return _answer(request, await take(request, services, _IDENTIFY, "groupidentify", "identification"))


def _answer(request: Request, taking: Taking) -> Response:
    """Answer as Amplitude does (HTTP V2 API, SuccessSummary); the Python SDK loses events without `code`."""
    return Response(
        b'{"code":200,"events_ingested":%d,"payload_size_bytes":%d,"server_upload_time":%d}'
        % (taking.event_count, taking.payload_bytes, request.received_at.timestamp() * 1000)
    )
