"""Segment's and RudderStack's routes: a batch, or one call by itself; both vendors' SDKs use the same ones."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from functools import partial

from include.contract.outline import Outline
from ingest_api.foreign import Dialect, Taking, take
from ingest_api.rsgi import Request, Response
from ingest_api.services import Services

DIALECT = Dialect("segment", "writeKey", ("anonymousId", "userId"))
_HEADER_CHARACTERS = 255

Verb = Callable[[Request, Services], Awaitable[Response]]


def call(name: str) -> Verb:
    """Return the verb that stores one call, such as `track`, or a `batch` of them."""
    return partial(_post, name)


async def _post(name: str, request: Request, services: Services) -> Response:
    taking = await take(
        request,
        services,
        DIALECT,
        name,
        "batch" if name == "batch" else "",
        known=beside_the_body(request),
        name=partial(_vendor, request),
    )
    return _answer(request, taking)


def _vendor(request: Request, seen: Outline) -> str:
    request.dialect = "rudder" if is_rudder(request, seen) else "segment"
    return request.dialect


def is_rudder(request: Request, seen: Outline) -> bool:
    """Tell RudderStack's SDKs by what only they send: a header, or `channel` in each message."""
    return "channel" in seen.first or request.scope.headers.get("anonymousid") is not None


def beside_the_body(request: Request) -> dict[str, str]:
    """Return what RudderStack's browser and mobile SDKs send as headers."""
    headers = request.scope.headers
    return {
        "client_device_id": _base64(headers.get("anonymousid")),
        "client_sent_at": _printable(headers.get("sentat")),
    }


def _base64(text: str | None) -> str:
    try:
        return _printable(base64.b64decode(text or "", validate=True).decode())
    except (binascii.Error, ValueError):
        return ""


def _printable(text: str | None) -> str:
    kept = (text or "")[:_HEADER_CHARACTERS]
    return kept if kept.isprintable() and kept.isascii() else ""


def _answer(request: Request, _taking: Taking) -> Response:
    return Response(b'"OK"' if request.dialect == "rudder" else b'{"success":true}')
