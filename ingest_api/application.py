"""Leads each request to its verb and writes the answer; granian calls it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import msgspec

from ingest_api import logs, services, settings
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import HTTPProtocol, Request, Response, Scope, tidy
from ingest_api.services import Services
from ingest_api.side_routes import options

log = logging.getLogger(__name__)

Headers = tuple[tuple[str, str], ...]
Verb = Callable[[Request, Services], Awaitable[Response]]
Routes = Mapping[str, Mapping[str, Verb]]
_MASSES = (429, 503)
_SAME_REFUSAL_SECONDS = 1.0
_COLLECT_AFTER = (20_000, 50, 100)
"""A request makes no cycles: looking for them after every 700 new objects, as Python does, finds nothing 99 times."""


class Application:
    """An RSGI application over two tables of routes (path, then method): for clients, with web pages, and operators.

    A `*` in a path stands for one part of it.
    """

    def __init__(self, for_clients: Routes, for_operators: Routes) -> None:
        self._for_clients = for_clients
        self._routes = {**for_operators, **for_clients}
        self._patterns = [
            (re.compile(re.escape(path).replace(r"\*", "[^/]+")), path) for path in self._routes if "*" in path
        ]
        self._words = {word for path in self._routes for word in path.split("/")} - {"*"}
        self._services: Services
        self._logged: dict[tuple[Outcome, str], float] = {}

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the process's services; granian calls it before the first request."""
        configuration = settings.load(os.environ)
        logs.configure(configuration.api.log_level)
        self._services = services.build(configuration, loop)
        services.start(self._services, loop)
        # What lives as long as the process need not be looked at by every collection.
        gc.freeze()
        gc.set_threshold(*_COLLECT_AFTER)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Flush after the last request."""
        if left := loop.run_until_complete(services.stop(self._services)):
            log.warning("stopped_with_unacknowledged_records", extra={"records": left})

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Serve one request."""
        request = Request(scope, protocol, os.urandom(16).hex(), datetime.now(UTC), time.monotonic())
        route, tracing = self._route(scope.path), self._services.tracing
        span = tracing.begin(request, route) if tracing and route in self._for_clients else None
        try:
            verb = self._verb(scope.method, route)
            response = await verb(request, self._services)
            outcome = Outcome.ACCEPTED
        except RefusedError as refused:
            response, outcome = await self._refusal(request, refused, route), refused.outcome
        except Exception:
            log.exception("failed", extra=self._about(request))
            outcome = Outcome.INTERNAL
            response = await self._refusal(request, RefusedError(outcome), route)
        finally:
            self._services.admission.leave(request)
        self._services.metrics.answered(outcome.error, request.dialect, request.source_id)
        _write(request, response, self._services.cors.headers(scope) if route in self._for_clients else ())
        if tracing and span:
            tracing.end(span, request, outcome, response.status)

    def _route(self, path: str) -> str:
        """Return the path of the table that a request's path belongs to; empty where there is none."""
        if path in self._routes:
            return path
        # An SDK's base URL with a slash at its end gives /v1//batch; some SDKs give up for good on a 404.
        path = tidy(path)
        if path in self._routes:
            return path
        return next((route for pattern, route in self._patterns if pattern.fullmatch(path)), "")

    def _verb(self, method: str, route: str) -> Verb:
        if not route:
            raise RefusedError(Outcome.NOT_FOUND)
        verb = self._routes[route].get("GET" if method == "HEAD" else method)  # whose body hyper leaves out
        if verb is None and method == "OPTIONS" and route in self._for_clients:
            return options
        if verb is None:
            raise RefusedError(Outcome.METHOD_NOT_ALLOWED, f"use {' or '.join(self._routes[route])}")
        return verb

    async def _refusal(self, request: Request, refused: RefusedError, route: str) -> Response:
        outcome = refused.outcome
        request.source_id = request.source_id or refused.source_id
        if self._is_worth_a_line(outcome, request.source_id):
            key = {"key_sha256": refused.key_fingerprint} if refused.key_fingerprint else {}
            extra = {**self._about(request), **key, "outcome": outcome.error, "reason": refused.message}
            log.info("refused", extra=extra)
        self._services.admission.leave(request)
        # Whoever still sends when the answer comes may not see it.
        await self._services.bodies.discard(request)
        body = {
            "code": outcome.status,
            "error": outcome.error,
            "message": refused.message,
            "request_id": request.request_id,
            **refused.details,
        }
        return Response(msgspec.json.encode(body), outcome.status, headers=self._extra_headers(route, refused))

    def _about(self, request: Request) -> dict[str, str]:
        """Return what a log line says of a request; of its path only our own words: another may be a key or a name."""
        words = request.scope.path[:200].split("/")
        return {
            "request_id": request.request_id,
            "method": request.scope.method,
            "path": "/".join(word if word in self._words else "…" for word in words),
            "source_id": request.source_id,
        }

    def _is_worth_a_line(self, outcome: Outcome, source_id: str) -> bool:
        """Say whether a refusal goes to the log: of those that come in masses one per second and source."""
        if outcome.status not in _MASSES:
            return True
        now = time.monotonic()
        if now - self._logged.get((outcome, source_id), -_SAME_REFUSAL_SECONDS) < _SAME_REFUSAL_SECONDS:
            return False
        self._logged[outcome, source_id] = now
        return True

    def _extra_headers(self, route: str, refused: RefusedError) -> Headers:
        match refused.outcome.status:
            case 401:
                return (("www-authenticate", 'Bearer realm="events"'),)
            case 405:
                return (("allow", ", ".join(self._routes[route])),)
            case 429 | 503:
                seconds = refused.retry_after_seconds or self._services.configuration.api.retry_after_seconds
                return (("retry-after", str(seconds)),)
        return ()


def _write(request: Request, response: Response, cors: Headers) -> None:
    headers = [("content-type", response.content_type), ("x-request-id", request.request_id), *response.headers, *cors]
    if response.file is None:
        request.protocol.response_bytes(response.status, headers, response.body)
    else:
        request.protocol.response_file(response.status, headers, response.file)
