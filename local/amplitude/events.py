"""Amplitude's documented rules for one event, for uploads and the warehouse importer of the stand-in alike.

Source: HTTP V2 and Batch Event Upload documentation. Where it states a limit but not what happens beyond it
(string length, depth) the stand-in refuses: what passes here passes there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Literal, NamedTuple

MIN_ID_LENGTH = 5
MAX_STRING_LENGTH = 1024
MAX_DEPTH = 40
MAX_TIME_MS = 253_402_300_799_999  # the last millisecond of year 9999
IDS = ("user_id", "device_id")
BANNED_IDS = frozenset(
    {"anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "", '""', "{}", "0", "-1", "lmy47d"}
    | {"00000000-0000-0000-0000-000000000000"}
)
_RESERVED = ("Start Session", "End Session", "Revenue", "Revenue (Verified)", "Revenue (Unverified)", "Merged User")
RESERVED_EVENT_TYPES = frozenset(f"[Amplitude] {name}" for name in _RESERVED)
OBJECT_FIELDS = frozenset(
    {"event_properties", "user_properties", "groups", "group_properties", "plan", "ingestion_metadata"}
)
_TEXT_FIELDS = """
insert_id app_version platform os_name os_version device_brand device_manufacturer device_model carrier country region
city dma language productId revenueType currency ip idfa idfv adid android_id library partner_id
"""


class Problem(NamedTuple):
    """What is wrong with one field of an event, in the groups of a 400 answer."""

    group: Literal["missing_fields", "invalid_fields", "invalid_id_lengths"]
    field: str


class Checked(NamedTuple):
    """An event as Amplitude keeps it (only documented fields), and what is wrong with it."""

    event: dict[str, Any]
    problems: list[Problem]


def check(raw: Mapping[str, Any], min_id_length: int = MIN_ID_LENGTH) -> Checked:
    """Apply every rule to one event; with any problem the event must not be stored."""
    event: dict[str, Any] = {}
    problems = _check_ids(raw, event, min_id_length)
    problems += _check_event_type(raw, event)
    for field, rule in _RULES.items():
        value = raw.get(field)
        if value is None:
            continue
        if rule(value):
            event[field] = value
        else:
            problems.append(Problem("invalid_fields", field))
    return Checked(event, problems)


def device_of(event: Mapping[str, Any]) -> str:
    """Return the device id, or the hash of the user id that Amplitude sets where none was sent."""
    device: str | None = event.get("device_id")
    return device if device is not None else sha256(event["user_id"].encode()).hexdigest()


def _check_ids(raw: Mapping[str, Any], event: dict[str, Any], min_id_length: int) -> list[Problem]:
    # An id that is too short or banned is removed from the event; the event fails only when no id is left.
    wrong: list[Problem] = []
    dropped: list[Problem] = []
    for field in IDS:
        value = raw.get(field)
        if value is None:
            continue
        if not isinstance(value, str) or len(value) > MAX_STRING_LENGTH:
            wrong.append(Problem("invalid_fields", field))
        elif value.strip().lower() in BANNED_IDS:
            dropped.append(Problem("invalid_fields", field))
        elif len(value) < min_id_length:
            dropped.append(Problem("invalid_id_lengths", field))
        else:
            event[field] = value
    if wrong or any(field in event for field in IDS):
        return wrong
    return dropped or [Problem("missing_fields", field) for field in IDS]


def _check_event_type(raw: Mapping[str, Any], event: dict[str, Any]) -> list[Problem]:
    value = raw.get("event_type")
    if value is None:
        return [Problem("missing_fields", "event_type")]
    if not _is_text(value) or not value or value in RESERVED_EVENT_TYPES:
        return [Problem("invalid_fields", "event_type")]
    event["event_type"] = value
    return []


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_STRING_LENGTH


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TIME_MS


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and _fits(value, MAX_DEPTH)


def _fits(value: object, depth: int) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_STRING_LENGTH
    if isinstance(value, dict):
        return depth > 0 and all(_fits(inner, depth - 1) for inner in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_fits(inner, depth - 1) for inner in value)
    return True


_RULES: dict[str, Callable[[object], bool]] = {
    "time": _is_time,
    "$skip_user_properties_sync": lambda value: isinstance(value, bool),
    **dict.fromkeys(_TEXT_FIELDS.split(), _is_text),
    **dict.fromkeys(OBJECT_FIELDS, _is_object),
    **dict.fromkeys(("session_id", "event_id", "quantity"), _is_integer),
    **dict.fromkeys(("price", "revenue", "location_lat", "location_lng"), _is_number),
}
"""The documented fields; Amplitude ignores every other one."""
