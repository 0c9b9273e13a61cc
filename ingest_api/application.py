"""Leads each request to its verb and writes the answer; granian calls it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import msgspec

from ingest_api import logs, services, settings
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import HTTPProtocol, Request, Response, Scope
from ingest_api.services import Services

log = logging.getLogger(__name__)

Verb = Callable[[Request, Services], Awaitable[Response]]
Routes = Mapping[str, Mapping[str, Verb]]


class Application:
    """An RSGI application over a table of routes: path, then method."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._services: Services

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the process's services; granian calls it before the first request."""
        configuration = settings.load(os.environ)
        logs.configure(configuration.api.log_level)
        self._services = services.build(configuration, loop)
        services.start(self._services, loop)
        # What lives as long as the process need not be looked at by every collection.
        gc.freeze()

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Flush after the last request."""
        if left := loop.run_until_complete(services.stop(self._services)):
            log.warning("stopped_with_unacknowledged_records", extra={"records": left})

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Serve one request."""
        request = Request(scope, protocol, os.urandom(16).hex(), datetime.now(UTC), time.monotonic())
        try:
            verb = self._verb(scope)
            response = await verb(request, self._services)
            outcome = Outcome.ACCEPTED
        except RefusedError as refused:
            response, outcome = self._refusal(request, refused), refused.outcome
        except Exception:
            log.exception("failed", extra=_about(request))
            outcome = Outcome.INTERNAL
            response = self._refusal(request, RefusedError(outcome))
        self._services.metrics.answered(outcome.error)
        _write(request, response)

    def _verb(self, scope: Scope) -> Verb:
        methods = self._routes.get(scope.path)
        if methods is None:
            raise RefusedError(Outcome.NOT_FOUND)
        verb = methods.get(scope.method)
        if verb is None:
            raise RefusedError(Outcome.METHOD_NOT_ALLOWED, f"use {' or '.join(methods)}")
        return verb

    def _refusal(self, request: Request, refused: RefusedError) -> Response:
        outcome = refused.outcome
        log.info("refused", extra={**_about(request), "outcome": outcome.error, "reason": refused.message})
        body = {
            "code": outcome.status,
            "error": outcome.error,
            "message": refused.message,
            "request_id": request.request_id,
        }
        return Response(msgspec.json.encode(body), outcome.status, headers=self._extra_headers(request, outcome))

    def _extra_headers(self, request: Request, outcome: Outcome) -> tuple[tuple[str, str], ...]:
        match outcome.status:
            case 401:
                return (("www-authenticate", 'Bearer realm="events"'),)
            case 405:
                return (("allow", ", ".join(self._routes[request.scope.path])),)
            case 503:
                return (("retry-after", str(self._services.configuration.api.retry_after_seconds)),)
        return ()


def _about(request: Request) -> dict[str, str]:
    return {"request_id": request.request_id, "method": request.scope.method, "path": request.scope.path[:200]}


def _write(request: Request, response: Response) -> None:
    headers = [("content-type", response.content_type), ("x-request-id", request.request_id), *response.headers]
    if response.file is None:
        request.protocol.response_bytes(response.status, headers, response.body)
    else:
        request.protocol.response_file(response.status, headers, response.file)
