"""What the vendors' SDKs ask for beside posting events: settings, configuration, telemetry, permission to post."""

from __future__ import annotations

from typing import Any

import msgspec

from ingest_api import auth
from ingest_api.rsgi import Request, Response, tidy
from ingest_api.services import Services

_MOST_KEY_CHARACTERS = 255
_NO_BODY = Response(status=204, content_type="text/plain")


async def get_segment_settings(request: Request, _services: Services) -> Response:
    """Tell Segment's SDKs to send here: they would switch to Segment's own host otherwise.

    Answered for every key, because an SDK that gets an error stops or goes on with old settings.
    """
    write_key = tidy(request.scope.path).split("/projects/", 1)[-1].removesuffix("/settings")[:_MOST_KEY_CHARACTERS]
    host = request.scope.headers.get("host") or "localhost"
    integration = {
        "apiKey": write_key,
        "apiHost": f"{host}/v1",
        "unbundledIntegrations": [],
        "maybeBundledConfigIds": {},
    }
    settings = {
        "integrations": {"Segment.io": integration},
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "edgeFunction": {},
        "metrics": {"sampleRate": 0},
        "analyticsNextEnabled": True,
    }
    return Response(msgspec.json.encode(settings))


async def get_rudder_config(request: Request, services: Services) -> Response:
    """Tell RudderStack's SDKs that their source is on, and that nothing is sent elsewhere by the client."""
    key = auth.write_key(request.scope.headers.get("authorization"))
    key = key or auth.key_in_url(request.scope)
    source = services.auth.patient(key)
    request.dialect, request.source_id = "rudder", source.id
    found: dict[str, Any] = {
        "id": source.id,
        "name": source.name,
        "writeKey": key,
        "enabled": True,
        "workspaceId": "workspace",
        "updatedAt": "2026-01-01T00:00:00.000Z",
        "config": {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}},
        "connections": [],
        "destinations": [],
        "dataplanes": {},
    }
    return Response(msgspec.json.encode({"source": found}))


async def post_telemetry(request: Request, services: Services) -> Response:
    """Take an SDK's measurements of itself and forget them: no event is among them."""
    await services.bodies.read(request)
    return Response(b'{"success":true}')


async def options(_request: Request, _services: Services) -> Response:
    """Let a page on another host post; what it may send is in the headers that every route of events has."""
    return _NO_BODY
