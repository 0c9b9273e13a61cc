"""The dialects as generated tests see them: a row says where events go, how a good one looks, and what 200 tells."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.integration.ingest_server import KEY


@dataclass(frozen=True)
class Dialect:
    """One row."""

    name: str
    """Header `dialect` of the stored record."""
    path: str
    list_key: str
    event: Mapping[str, Any]
    """A good event."""
    told: Callable[[Any], tuple[int | None, set[int] | None]]
    """Reads an answer 200: number of events that it speaks of, indexes of the quarantined ones (None: it is silent)."""
    around: Mapping[str, Any] = field(default_factory=dict)
    """What goes beside the list of events."""
    headers: Sequence[tuple[str, str]] = ()
    odd_fields: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    """Fields and the values (JSON) by which one of them costs its event, and nothing else."""
    judges: bool = False
    """Whether the edge itself finds bad events; else only the drain does."""

    @property
    def has_key_in_body(self) -> bool:
        return KEY in self.around.values()


def _own(answer: Any) -> tuple[int, set[int]]:
    bad = [item["index"] for item in answer["quarantined"]]
    assert len(bad) == len(set(bad))
    assert all(item["reason"] for item in answer["quarantined"])
    return answer["accepted"] + len(bad), set(bad)


def _amplitude(answer: Any) -> tuple[int, None]:
    assert answer["code"] == 200
    return answer["events_ingested"], None


def _segment(answer: Any) -> tuple[None, None]:
    assert answer == {"success": True}
    return None, None


_BASIC = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()
_LONG = b'"' + b"x" * 256 + b'"'
_NO_TEXT = (b"5", b"true", b"[]", b"{}", b"1.5")

V1 = Dialect(
    name="v1",
    path="/v1/events",
    list_key="events",
    event={
        "event_id": "e-1",
        "event_name": "opened",
        "device_id": "d-1",
        "occurred_at": "2026-11-22T10:00:00Z",
        "platform": "ios",
        "consent": {"analytics": True},
        "event_properties": {"screen": "status"},
    },
    told=_own,
    headers=(("Authorization", f"Bearer {KEY}"),),
    judges=True,
    odd_fields={
        "event_name": (*_NO_TEXT, _LONG, b'""', b"null"),
        "event_id": (*_NO_TEXT, _LONG, b'""'),
        "device_id": (*_NO_TEXT, _LONG),
        "user_id": (*_NO_TEXT, _LONG),
        "occurred_at": (*_NO_TEXT, b'"yesterday"', b'"2026-11-22T10:00:00"', b'"2026-13-01T00:00:00Z"'),
        "schema_version": (b'"1"', b"-1", b"2147483648", b"1.5", b"1e999", b"9" * 401),
        "consent": (b'"yes"', b"[]", b"1"),
        "event_properties": (b"[]", b"7", b'"{}"'),
        "locale": _NO_TEXT,
    },
)

AMPLITUDE = Dialect(
    name="amplitude",
    path="/2/httpapi",
    list_key="events",
    event={
        "device_id": "d0",
        "user_id": "user00",
        "event_type": "t",
        "insert_id": "id-00",
        "time": 1795393297820,
        "event_properties": {"a": 1},
        "library": "amplitude-python/1.3.0",
    },
    told=_amplitude,
    around={"api_key": KEY, "options": {}, "client_upload_time": "2026-11-22T10:00:00.000Z"},
    odd_fields={
        "event_type": _NO_TEXT,
        "time": (b'"1795393297820"', b"true", b"[]", b"1e300", b"9" * 401),
        "device_id": (b"true", b"[]", b"{}"),
        "insert_id": (b"true", b"[]", b"{}"),
    },
)

AMPLITUDE_IDENTIFY = Dialect(
    name="amplitude",
    path="/identify",
    list_key="identification",
    event={"user_id": "u-1", "device_id": "d-1", "user_properties": {"$set": {"plan": "gold"}, "$add": {"n": 1}}},
    told=_amplitude,
    around={"api_key": KEY},
)

SEGMENT = Dialect(
    name="segment",
    path="/v1/batch",
    list_key="batch",
    event={
        "type": "track",
        "event": "ev",
        "userId": "user0",
        "anonymousId": None,
        "messageId": "6f1c6a9a-1",
        "timestamp": "2026-11-22T10:00:00.000+00:00",
        "properties": {"a": 1},
        "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
        "integrations": {},
    },
    told=_segment,
    around={"sentAt": "2026-11-22T10:00:00.000Z"},
    headers=(("Authorization", _BASIC),),
    odd_fields={
        "event": _NO_TEXT,
        "userId": (b"true", b"[]", b"{}"),
        "messageId": (b"true", b"[]", b"{}"),
        "timestamp": (b'"yesterday"', b"true", b"[]", b'"2026-13-01T00:00:00Z"'),
    },
)

SEGMENT_KEY_IN_BODY = Dialect(
    name=SEGMENT.name,
    path=SEGMENT.path,
    list_key=SEGMENT.list_key,
    event=SEGMENT.event,
    told=_segment,
    around={**SEGMENT.around, "writeKey": KEY},
)

DIALECTS = {
    "v1": V1,
    "amplitude": AMPLITUDE,
    "amplitude-identify": AMPLITUDE_IDENTIFY,
    "segment": SEGMENT,
    "segment-key-in-body": SEGMENT_KEY_IN_BODY,
}
