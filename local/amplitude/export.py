"""The Export API of the Amplitude stand-in: stored events by server upload time, as a zip of gzipped JSON lines."""

from __future__ import annotations

import base64
import gzip
import hmac
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import IO, Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from local.amplitude.store import Store, Stored

PROJECT = 100001
HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000
MAX_RANGE = timedelta(days=365)
MEMORY_BYTES = 32_000_000
CHUNK_BYTES = 1 << 20
_encode = msgspec.json.Encoder().encode
# Where the export's name for a field differs from the upload's.
RENAMED = {"insert_id": "$insert_id", "app_version": "version_name", "carrier": "device_carrier", "ip": "ip_address"}
OTHERWISE_SHOWN = frozenset({"time", "$skip_user_properties_sync"})


@dataclass(frozen=True, slots=True)
class Exports:
    """Answers exports of one project."""

    store: Store
    clock: Callable[[], float]
    api_key: str
    secret_key: str
    delay_seconds: float

    async def receive(self, request: Request) -> Response:
        """Answer one export; both hours are included."""
        if not self._authorised(request.headers.get("authorization", "")):
            return JSONResponse({"error": {"http_code": 403, "type": "invalid_credentials"}}, 403)
        try:
            start, end = _range(request.query_params)
        except ValueError as error:
            return JSONResponse({"error": {"http_code": 400, "type": "invalid_request", "message": str(error)}}, 400)
        archive = await run_in_threadpool(self._archive, start, end)
        if archive is None:
            return PlainTextResponse("Raw data files were not found.", 404)
        headers = {"content-disposition": "attachment; filename=export.zip"}
        return StreamingResponse(_chunks(archive), media_type="application/zip", headers=headers)

    def _authorised(self, header: str) -> bool:
        wanted = base64.b64encode(f"{self.api_key}:{self.secret_key}".encode())
        return hmac.compare_digest(header.encode(), b"Basic " + wanted)

    def _archive(self, start: datetime, end: datetime) -> IO[bytes] | None:
        until = min(_ms(end + HOUR), self._available_until_ms())
        events = self.store.uploaded_between(_ms(start), until)
        hours = groupby(events, key=lambda one: one.server_upload_time // HOUR_MS)
        archive = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - closed by _chunks
        files = 0
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
            for hour, group in hours:
                with target.open(f"{PROJECT}/{PROJECT}_{_file_hour(hour)}#0.json.gz", "w") as file:
                    _write(file, group)
                files += 1
        if not files:
            archive.close()
            return None
        archive.seek(0)
        return archive

    def _available_until_ms(self) -> int:
        """Return the end of what is shown: everything without a delay, else the hours that ended the delay ago."""
        now = int(self.clock() * 1000)
        if not self.delay_seconds:
            return now + HOUR_MS
        return (now - int(self.delay_seconds * 1000)) // HOUR_MS * HOUR_MS


def shown(stored: Stored) -> dict[str, Any]:
    """Return an event with the names and time formats of the export schema."""
    event = {RENAMED.get(name, name): value for name, value in stored.event.items() if name not in OTHERWISE_SHOWN}
    uploaded = _timestamp(stored.server_upload_time)
    happened = _timestamp(stored.event["time"])
    return event | {
        "app": PROJECT, "$insert_id": stored.event.get("insert_id"), "user_id": stored.event.get("user_id"),
        "session_id": stored.event.get("session_id", -1), "event_time": happened, "client_event_time": happened,
        "server_received_time": uploaded, "server_upload_time": uploaded, "client_upload_time": uploaded,
    }  # fmt: skip


def _range(query: Mapping[str, str]) -> tuple[datetime, datetime]:
    start, end = (_hour(query.get(name, ""), name) for name in ("start", "end"))
    if not timedelta(0) <= end - start <= MAX_RANGE:
        raise ValueError("start must not be after end, and at most 365 days may lie between them")
    return start, end


def _hour(text: str, name: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%dT%H").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{name} must be an hour as YYYYMMDDTHH") from None


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _timestamp(epoch_ms: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _file_hour(hour: int) -> str:
    moment = datetime.fromtimestamp(hour * 3600, UTC)
    return f"{moment:%Y-%m-%d}_{moment.hour}"


def _write(file: IO[bytes], events: Iterator[Stored]) -> None:
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as lines:
        for stored in events:
            lines.write(_encode(shown(stored)) + b"\n")


def _chunks(archive: IO[bytes]) -> Iterator[bytes]:
    with archive:
        while chunk := archive.read(CHUNK_BYTES):
            yield chunk
