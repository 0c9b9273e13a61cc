"""Traces of the ingest API, as a collector gets them: a span for each request, and its context in the envelope."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from local.stack import Stack
from tests.integration.ingest_server import EVENT, KEY, ApiServer, read_topic, write_sources

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                text = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                found = ExportTraceServiceRequest.FromString(text)
                collector.spans += [s for r in found.resource_spans for scope in r.scope_spans for s in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Collector]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


@pytest.fixture
def environment(tmp_path: Path, kafka: Stack, topic: str) -> Mapping[str, str]:
    return {
        "TOPIC_PARTITIONS": "4",
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"],
        "INGEST_KAFKA_TOPIC": topic,
        "INGEST_SOURCES_PATH": str(write_sources(tmp_path / "sources.json")),
        "INGEST_TRACES": "true",
        "INGEST_STOP_TIMEOUT_SECONDS": "8",
    }


def test_a_request_is_a_span_of_the_clients_trace(
    tmp_path: Path, kafka: Stack, topic: str, environment: Mapping[str, str]
) -> None:
    with Collector().running() as collector:
        with ApiServer(tmp_path, {**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as server:
            server.await_ready()
            assert server.post({"events": [EVENT]}, traceparent=PARENT).status == 200
            assert server.post(b"not json").status == 400
            assert server.stop() == 0
        spans = {span.status.code or dict(_texts(span))["ingest.outcome"]: span for span in collector.spans}
    assert set(spans) == {"accepted", "invalid_body"}
    good = spans["accepted"]
    assert good.name == "POST /v1/events"
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == (PARENT.split("-")[1], PARENT.split("-")[2])
    assert dict(_texts(good)).items() >= {"ingest.dialect": "v1", "ingest.source_id": "test-app"}.items()
    (record,) = read_topic(kafka.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"], topic)
    assert record.headers["traceparent"] == f"00-{good.trace_id.hex()}-{good.span_id.hex()}-01"
    assert KEY not in str(collector.spans)


def test_without_a_collector_requests_are_answered_all_the_same(tmp_path: Path, environment: Mapping[str, str]) -> None:
    away = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with ApiServer(tmp_path, {**environment, **away}) as server:
        server.await_ready()
        assert server.post({"events": [EVENT]}).status == 200
        assert server.stop() == 0
        assert "refused to gracefully stop" not in server.log()


def test_a_collector_that_never_answers_holds_up_no_end(tmp_path: Path, environment: Mapping[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with ApiServer(tmp_path, {**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": url}) as server:
            server.await_ready()
            assert server.post({"events": [EVENT]}).status == 200
            assert server.stop() == 0
            assert "refused to gracefully stop" not in server.log()


def _texts(span: Any) -> Iterator[tuple[str, str]]:
    for attribute in span.attributes:
        yield attribute.key, attribute.value.string_value
