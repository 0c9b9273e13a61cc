"""A server that accepts everything the SDKs post and keeps it, for tests of the SDK harness and for the captures."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_GZIP_MAGIC = b"\x1f\x8b"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "*, Authorization, Content-Type, Content-Encoding, AnonymousId, SentAt",
}


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def text(self) -> str:
        """Return the body as text, inflated."""
        raw = gzip.decompress(self.body) if self.body.startswith(_GZIP_MAGIC) else self.body
        return raw.decode()

    def capture(self) -> dict[str, Any]:
        """Return it as a capture is written: headers in their order and spelling, the body decoded."""
        text = self.text()
        return {
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": json.loads(text) if text else None,
        }


@dataclass(frozen=True)
class Answer:
    """What the stub says."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


Policy = Callable[[Request], Answer]


def accept(request: Request) -> Answer:
    """Answer success in the dialect of the route."""
    if request.path in {"/2/httpapi", "/batch", "/identify"}:
        events = json.loads(request.text())["events"]
        size = len(request.body)
        now = round(time.time() * 1000)
        body = {"code": 200, "events_ingested": len(events), "payload_size_bytes": size, "server_upload_time": now}
        return Answer(200, body)
    return Answer(200, {"success": True})


def refuse(status: int, **headers: str) -> Policy:
    """Answer this status to everything, with a body that every SDK can read."""
    body = {"code": status, "error": "refused by the test", "message": "refused"}
    return lambda _request: Answer(status, body, headers)


class RecordingStub:
    """`with RecordingStub() as stub:` `stub.url`, `stub.requests`; `stub.policy` may be exchanged at any moment."""

    def __init__(self, policy: Policy = accept) -> None:
        self.policy = policy
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def posts(self) -> list[Request]:
        """Return what was posted, without CORS preflights."""
        return [request for request in self.requests if request.method == "POST"]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = Request("POST", self.path, dict(self.headers.items()), body)
                stub.requests.append(request)
                self._answer(stub.policy(request))

            def do_OPTIONS(self) -> None:
                stub.requests.append(Request("OPTIONS", self.path, dict(self.headers.items()), b""))
                self._answer(Answer(200, {}))

            def do_GET(self) -> None:
                stub.requests.append(Request("GET", self.path, dict(self.headers.items()), b""))
                self._answer(Answer(200, {}))

            def _answer(self, answer: Answer) -> None:
                raw = json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {**_CORS, "Content-Type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
                """Say nothing: the tests read `requests`."""

        return Handler
