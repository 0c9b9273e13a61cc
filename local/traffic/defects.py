"""The ways in which generated events are malformed: each makes exactly its event fail, never the request."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

Event = dict[str, Any]


def _missing(*fields: str) -> Callable[[Event, Random], None]:
    def spoil(event: Event, _: Random) -> None:
        for field in fields:
            event.pop(field, None)

    return spoil


def _value(field: str, *values: object) -> Callable[[Event, Random], None]:
    def spoil(event: Event, rng: Random) -> None:
        event[field] = rng.choice(values)

    return spoil


def _far_future(event: Event, rng: Random) -> None:
    year = int(event["occurred_at"][:4]) + rng.randint(2, 60)
    event["occurred_at"] = f"{year}-06-15{event['occurred_at'][10:]}"


def _too_large(event: Event, rng: Random) -> None:
    event["event_properties"]["stack_trace"] = f"{rng.getrandbits(64):016x}" * 2_200


KINDS: dict[str, tuple[int, Callable[[Event, Random], None]]] = {
    "missing_event_name": (12, _missing("event_name")),
    "missing_ids": (12, _missing("user_id", "device_id")),
    "missing_platform": (10, _missing("platform")),
    "unknown_platform": (6, _value("platform", "symbian", "IOS", "")),
    "bad_event_name": (8, _value("event_name", "1st_launch", "tap<button>", " screen", "")),
    "long_event_name": (4, _value("event_name", "screen_viewed_" + "x" * 242)),
    "bad_occurred_at": (12, _value("occurred_at", "yesterday", "2026-13-41T25:61:00Z", "")),
    "far_future": (8, _far_future),
    "unknown_schema_version": (8, _value("schema_version", 99, 0)),
    "wrong_type_user_id": (6, _value("user_id", 4_711, ["user-1"])),
    "wrong_type_app_version": (4, _value("app_version", 4.12)),
    "wrong_type_properties": (5, _value("event_properties", "screen=home", ["home"])),
    "wrong_type_consent": (4, _value("consent", "yes", ["analytics"])),
    "long_device_id": (3, _value("device_id", "d" * 256)),
    "too_large": (1, _too_large),
}
"""Weight and way of each kind; the names are what `ExpectedEvent.defect` says."""

_NAMES = tuple(KINDS)
_WEIGHTS = tuple(weight for weight, _ in KINDS.values())


def spoil(text: str, rng: Random) -> tuple[str, str]:
    """Return the event's JSON with one defect, and the defect's name."""
    name = rng.choices(_NAMES, _WEIGHTS)[0]
    event = json.loads(text)
    KINDS[name][1](event, rng)
    return json.dumps(event, separators=(",", ":")), name


def without_id(text: str) -> str:
    """Return the event's JSON without its event_id."""
    event = json.loads(text)
    del event["event_id"]
    return json.dumps(event, separators=(",", ":"))
