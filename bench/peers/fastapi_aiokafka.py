"""The ingest API as it is usually written, for benchmark B1: FastAPI, pydantic and aiokafka, one record per event.

`python -m bench.peers.fastapi_aiokafka BOOTSTRAP TOPIC SOURCES PORT`, in an environment of requirements.txt beside
it. It makes the same promise: `acks=all`, idempotent, and the answer 200 after every acknowledgement.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from aiokafka import AIOKafkaProducer  # type: ignore[import-not-found]  # in the peers' environment only
from fastapi import FastAPI, HTTPException, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator


class Event(BaseModel):
    """One event; further keys are kept."""

    model_config = ConfigDict(extra="allow", strict=False)

    event_name: str = Field(min_length=1, max_length=255)
    event_id: str | None = Field(None, min_length=1, max_length=255)
    schema_version: int | None = Field(None, ge=0)
    user_id: str | None = Field(None, max_length=255)
    device_id: str | None = Field(None, max_length=255)
    session_id: str | None = None
    occurred_at: AwareDatetime | None = None
    app_version: str | None = None
    consent: dict[str, Any] | None = None
    event_properties: dict[str, Any] | None = None
    user_properties: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _is_of_somebody(self) -> Event:
        if not (self.device_id or self.user_id):
            raise ValueError("device_id or user_id is needed")
        return self


def create_app(bootstrap: str, topic: str, sources_file: Path) -> FastAPI:
    """Return the application."""
    keys = {
        key_hash: source["id"]
        for source in json.loads(sources_file.read_text())["sources"]
        for key_hash in source["write_key_sha256"]
    }
    state: dict[str, AIOKafkaProducer] = {}

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        properties: dict[str, Any] = {"acks": "all", "enable_idempotence": True, "linger_ms": 5}
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, **properties) as producer:
            state["producer"] = producer
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/events")
    async def post_events(request: Request) -> dict[str, Any]:
        source_id = keys.get(_hash(request.headers.get("authorization", "")))
        if source_id is None:
            raise HTTPException(401, "unknown key")
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return await store(state["producer"], topic, source_id, json.loads(body)["events"])

    return app


async def store(producer: AIOKafkaProducer, topic: str, source_id: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Send each event as a record and wait for all acknowledgements; returns the answer."""
    received_at = datetime.now(UTC).isoformat()
    rejected = {index: why for index, event in enumerate(events) if (why := _why(event))}
    acknowledgements = [
        await producer.send(
            topic,
            json.dumps({**event, "source_id": source_id, "received_at": received_at}).encode(),
            key=str(event.get("device_id")).encode(),
            headers=[("rejected", rejected[index].encode())] if index in rejected else None,
        )
        for index, event in enumerate(events)
    ]
    await asyncio.gather(*acknowledgements)
    quarantined = [{"index": index, "reason": why} for index, why in rejected.items()]
    return {"accepted": len(events) - len(rejected), "quarantined": quarantined}


def _hash(authorization: str) -> str:
    return hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()


def _why(event: dict[str, Any]) -> str:
    """Say why an event is bad; empty when it is not."""
    try:
        Event.model_validate(event)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    return ""


def main(bootstrap: str, topic: str, sources_file: str, port: str) -> None:
    """Serve until SIGTERM."""
    app = create_app(bootstrap, topic, Path(sources_file))
    options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "access_log": False, "log_level": "warning"}
    uvicorn.run(app, host="127.0.0.1", port=int(port), **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
