"""`/health/live`, `/health/ready` and `/metrics`: is the process alive, can it keep its promise, how is it doing."""

from __future__ import annotations

import msgspec

from ingest_api import numbers
from ingest_api.rsgi import Request, Response
from ingest_api.services import Services

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


async def get_live(_request: Request, _services: Services) -> Response:
    """Answer as long as the event loop turns; a restart cures what this does not answer."""
    return Response(b'{"status":"live"}')


async def get_ready(_request: Request, services: Services) -> Response:
    """Answer 200 when topic and sources are as needed, else 503 with every reason."""
    reasons = services.readiness.reasons()
    body = {
        "status": "not ready" if reasons else "ready",
        "reasons": reasons,
        "warnings": services.readiness.warnings(),
    }
    return Response(msgspec.json.encode(body), status=503 if reasons else 200)


async def get_metrics(_request: Request, services: Services) -> Response:
    """Write the metrics of all worker processes in Prometheus' text format."""
    return Response(numbers.text(services.siblings.together()), content_type=_TEXT)
