"""Traces by OpenTelemetry, where they are switched on: a span per request of a client, its context in the envelope.

OpenTelemetry's own variables say where the spans go, and how many: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER.
"""

from __future__ import annotations

import os
import threading

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ingest_api.outcomes import Outcome
from ingest_api.rsgi import Request

_SERVICE = "ingest_api"
_LAST_SECONDS = 1.0
_HEADERS = ("traceparent", "tracestate")


class Tracing:
    """One per process; spans are sent in the background and thrown away when nobody takes them."""

    def __init__(self) -> None:
        resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME", _SERVICE)})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(_SERVICE)
        self._context = TraceContextTextMapPropagator()

    def begin(self, request: Request, route: str) -> Span:
        """Begin a span that continues the client's trace, if it has one; the request learns its context."""
        scope = request.scope
        carrier = {name: text for name in _HEADERS if (text := scope.headers.get(name))}
        attributes = {"http.request.method": scope.method, "http.route": route, "ingest.request_id": request.request_id}
        span = self._tracer.start_span(
            f"{scope.method} {route}", self._context.extract(carrier), SpanKind.SERVER, attributes
        )
        told: dict[str, str] = {}
        self._context.inject(told, set_span_in_context(span))
        request.traceparent = told.get("traceparent", "")
        return span

    def end(self, span: Span, request: Request, outcome: Outcome, status: int) -> None:
        """End a request's span; nothing of its body or sender is in it."""
        span.set_attributes(
            {
                "http.response.status_code": status,
                "ingest.outcome": outcome.error,
                "ingest.dialect": request.dialect,
                "ingest.source_id": request.source_id,
            }
        )
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR, outcome.error))
        span.end()

    def close(self) -> None:
        """Send what is left; a collector that does not answer holds up no end."""
        sending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        sending.start()
        sending.join(_LAST_SECONDS)
