"""The requests of a bulk client of the kill audit: the same ids in three dialects, each with a source of its own."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass
class Post:
    """A request whose bytes never change."""

    source_id: str
    path: str
    headers: dict[str, str]
    body: bytes
    ids: list[str]
    acknowledged: bool = False


def own(ids: list[str], key: str) -> Post:
    """Make a request of our own dialect, gzip."""
    now = datetime.now(UTC).isoformat()
    events = [
        {
            "event_id": one, "event_name": "screen_viewed", "user_id": f"user-{one[-9:]}",
            "device_id": f"device-{one[:12]}", "occurred_at": now, "platform": "ios", "app_version": "4.1.0",
            "event_properties": {"screen": "home"},
        }
        for one in ids
    ]  # fmt: skip
    body = gzip.compress(json.dumps({"sent_at": now, "events": events}).encode(), 1)
    headers = {"Authorization": f"Bearer {key}", "Content-Encoding": "gzip"}
    return Post("phone-app", "/v1/events", headers, body, ids)


def amplitude(ids: list[str], key: str) -> Post:
    """Make an HTTP V2 request as Amplitude's SDKs send it: no gzip, the key in the body."""
    now = round(time.time() * 1000)
    events = [
        {
            "insert_id": one, "event_type": "screen_viewed", "user_id": f"user-{one[-9:]}", "event_id": number,
            "device_id": f"device-{one[:12]}", "time": now, "platform": "Android",
            "event_properties": {"screen": "home"},
        }
        for number, one in enumerate(ids)
    ]  # fmt: skip
    return Post("web-app", "/2/httpapi", {}, json.dumps({"api_key": key, "events": events}).encode(), ids)


def segment(ids: list[str], key: str) -> Post:
    """Make a batch as Segment's SDKs send it, gzip, the key as Basic authentication."""
    now = datetime.now(UTC).isoformat()
    calls = [
        {
            "type": "track", "messageId": one, "event": "screen_viewed", "userId": f"user-{one[-9:]}",
            "anonymousId": f"device-{one[:12]}", "timestamp": now, "properties": {"screen": "home"},
            "context": {"os": {"name": "Android", "version": "15"}},
        }
        for one in ids
    ]  # fmt: skip
    body = gzip.compress(json.dumps({"batch": calls, "sentAt": now}).encode(), 1)
    basic = base64.b64encode(f"{key}:".encode()).decode()
    return Post("car-app", "/v1/batch", {"Authorization": f"Basic {basic}", "Content-Encoding": "gzip"}, body, ids)


DIALECTS: dict[str, Callable[[list[str], str], Post]] = {"phone-app": own, "web-app": amplitude, "car-app": segment}
