"""HTTP V2 and Batch upload of the Amplitude stand-in: the documented limits, answers and order of checks."""

from __future__ import annotations

import hmac
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.amplitude.events import MIN_ID_LENGTH, Problem, check
from local.amplitude.faults import Faults
from local.amplitude.limits import RateLimits
from local.amplitude.store import Store

GZIP_WINDOW = 31


@dataclass(frozen=True, slots=True)
class UploadRoute:
    """What differs between the two upload routes."""

    name: str
    path: str
    max_bytes: int
    events_per_second: int
    max_events: int = 2_000


HTTP_V2 = UploadRoute("httpapi", "/2/httpapi", 1_000_000, 30)
BATCH = UploadRoute("batch", "/batch", 20_000_000, 1_000)


class RefusedError(Exception):
    """The upload is refused with this documented body; its `code` is the HTTP status."""

    def __init__(self, reason: str, body: dict[str, Any]) -> None:
        super().__init__(reason)
        self.body = body


@dataclass(frozen=True, slots=True)
class Uploads:
    """Takes uploads for one project."""

    store: Store
    limits: RateLimits
    faults: Faults
    api_key: str

    async def receive(self, route: UploadRoute, request: Request) -> Response:
        """Answer one upload; a switched-on fault comes first, or instead of the success."""
        fault = self.faults.take()
        try:
            body = await _body(request, route.max_bytes)
            events = _events(body, route, self.api_key, request.headers)
            if fault is not None and not fault.accept_first:
                return fault.answer(len(events))
            answer = await run_in_threadpool(self._store, events, len(body), route)
        except RefusedError as refused:
            await run_in_threadpool(self.store.count, f"refused:{route.name}: {refused}")
            answer = refused.body
        return fault.answer(0) if fault is not None else JSONResponse(answer, answer["code"])

    def _store(self, events: list[dict[str, Any]], size: int, route: UploadRoute) -> dict[str, Any]:
        over = self.limits.admit(events, route.events_per_second)
        if over is not None:
            raise RefusedError("too many requests", over)
        uploaded = self.store.ingest(events, route.name)
        return {
            "code": 200, "events_ingested": len(events), "payload_size_bytes": size, "server_upload_time": uploaded,
        }  # fmt: skip


async def _body(request: Request, max_bytes: int) -> bytes:
    parts = bytearray()
    gunzip = zlib.decompressobj(GZIP_WINDOW) if request.headers.get("content-encoding", "") == "gzip" else None
    async for chunk in request.stream():
        try:
            parts += gunzip.decompress(chunk, max_bytes + 1 - len(parts)) if gunzip else chunk
        except zlib.error:
            raise _bad_request("Invalid JSON request body") from None
        if len(parts) > max_bytes:
            raise _too_large()
    return bytes(parts)


def _events(body: bytes, route: UploadRoute, api_key: str, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    request = _request(body, headers)
    for field in ("api_key", "events"):
        if not request.get(field):
            raise _bad_request("Request missing required field", missing_field=field)
    if not hmac.compare_digest(str(request["api_key"]).encode(), api_key.encode()):
        raise _bad_request("Invalid API key")
    events = request["events"]
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise _bad_request("Invalid event JSON")
    if len(events) > route.max_events:
        raise _too_large()
    return _checked(events, _min_id_length(request))


def _request(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    if not headers.get("content-type", "").lower().startswith("application/json"):
        raise _bad_request("Content-Type must be application/json")
    if not body:
        raise _bad_request("Missing request body")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _bad_request("Invalid JSON request body") from None


def _min_id_length(request: Mapping[str, Any]) -> int:
    options = request.get("options")
    length = options.get("min_id_length", MIN_ID_LENGTH) if isinstance(options, dict) else MIN_ID_LENGTH
    return length if isinstance(length, int) and length > 0 else MIN_ID_LENGTH


def _checked(events: list[dict[str, Any]], min_id_length: int) -> list[dict[str, Any]]:
    checked = [check(event, min_id_length) for event in events]
    problems = [(problem, index) for index, one in enumerate(checked) for problem in one.problems]
    if problems:
        raise _bad_events(problems)
    return [one.event for one in checked]


def _bad_events(problems: list[tuple[Problem, int]]) -> RefusedError:
    groups: dict[str, dict[str, list[int]]] = {"missing_fields": {}, "invalid_fields": {}, "invalid_id_lengths": {}}
    for problem, index in problems:
        groups[problem.group].setdefault(problem.field, []).append(index)
    if groups["missing_fields"]:
        error = "Request missing required field"
    elif groups["invalid_fields"]:
        error = "Invalid field values on some events"
    else:
        error = "Invalid id length for user_id or device_id"
    return _bad_request(error, **{f"events_with_{group}": indexes for group, indexes in groups.items()})


def _bad_request(error: str, **details: object) -> RefusedError:
    body = {"code": 400, "error": error, "missing_field": None}
    body |= {"events_with_invalid_fields": {}, "events_with_missing_fields": {}}
    return RefusedError(error, body | details)


def _too_large() -> RefusedError:
    return RefusedError("Payload too large", {"code": 413, "error": "Payload too large"})
