"""The known set of calls that every SDK driver makes, with every value that a test compares after the mapping."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Dialect = Literal["amplitude", "segment", "rudder"]
_OPERATIONS = {"$set": {"plan": "gold", "age": 41}, "$setOnce": {"first_seen": "2026-11-22"}, "$add": {"visits": 2}}
_DEVICE = {
    "platform": "Android",
    "app_version": "4.12.0",
    "os_name": "Android",
    "os_version": "15",
    "device_model": "Pixel 9",
    "language": "German",
    "country": "DE",
    "session_id": 1795393290000,
}
_CONTEXT = {
    "app": {"name": "shop", "version": "4.12.0"},
    "os": {"name": "Android", "version": "15"},
    "device": {"id": "hardware-1", "model": "Pixel 9", "type": "android"},
    "locale": "de-DE",
}


@dataclass(frozen=True)
class Call:
    """One call of an SDK; a driver turns it into its SDK's own words."""

    kind: str
    id: str
    user_id: str | None
    device_id: str | None
    time_ms: int
    name: str | None = None
    category: str | None = None
    # Event properties, or the traits of identify and group.
    properties: dict[str, Any] = field(default_factory=dict)
    # Amplitude's identify operations: {"$set": {...}, "$add": {...}}.
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    group_type: str | None = None
    group_id: str | None = None
    previous_id: str | None = None
    # Amplitude's other event fields, or Segment's `context`.
    context: dict[str, Any] = field(default_factory=dict)


def known_set(dialect: Dialect, prefix: str) -> list[Call]:
    """Return one call of each kind that the dialect has; ids are `<prefix>-<kind>`."""
    calls = _amplitude(prefix) if dialect == "amplitude" else _segment(prefix)
    return list(calls)


def stream(prefix: str, count: int) -> list[Call]:
    """Return `count` track calls with the ids `<prefix>-000000` onwards, of 20 users with a device each."""
    now = _now()
    return [
        Call(
            kind="track",
            id=f"{prefix}-{number:06d}",
            user_id=f"user-{number % 20:04d}",
            device_id=f"device-{number % 20:04d}",
            time_ms=now + number,
            name="screen_viewed",
            properties={"number": number, "screen": "home", "nested": {"text": "Zürich ✓"}},
        )
        for number in range(count)
    ]


def _amplitude(prefix: str) -> Iterator[Call]:
    def call(kind: str, **values: Any) -> Call:
        return Call(kind, f"{prefix}-{kind}", "user-0042", "device-0042", _now(), **values)

    yield call("track", name="Order Completed", properties={"total": 12.5, "items": ["a", "b"]}, context=_DEVICE)
    yield call("identify", operations=_OPERATIONS)
    yield call("set_group", group_type="company", group_id="acme")
    yield call("group_identify", group_type="company", group_id="acme", operations={"$set": {"seats": 7}})


def _segment(prefix: str) -> Iterator[Call]:
    def call(kind: str, **values: Any) -> Call:
        return Call(kind, f"{prefix}-{kind}", "user-0042", "device-0042", _now(), **values)

    yield call("track", name="Order Completed", properties={"total": 12.5, "items": ["a", "b"]}, context=_CONTEXT)
    yield call("identify", properties={"plan": "gold", "age": 41})
    yield call("group", group_id="acme", properties={"seats": 7})
    yield call("page", name="Pricing", category="docs", properties={"url": "https://shop.example/pricing"})
    yield call("screen", name="Basket", category="shop", properties={"items": 3})
    yield Call("alias", f"{prefix}-alias", "user-0042", None, _now(), previous_id="device-0042")


def _now() -> int:
    return round(time.time() * 1000)
