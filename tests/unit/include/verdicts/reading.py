"""The contract read once more, in plain Python and with no code of the pipeline: on which facts does an event fail?

Written from docs/client-guide.md, docs/dialects.md and the notes of the suite `events`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NoReturn

Event = dict[str, Any]
DEVICE = (
    "app_version",
    "os_name",
    "os_version",
    "device_model",
    "locale",
    "country",
    "library_name",
    "library_version",
)
IDS = ("event_id", "user_id", "device_id", "session_id")
OBJECTS = ("consent", "event_properties", "user_properties")
TEXTS = {*DEVICE, *IDS, "platform", "event_name"}
PLATFORMS = ("ios", "android", "web", "car", "server")
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|([+-])(\d\d):?(\d\d))?\Z", re.ASCII
)


class UnreadableError(ValueError):
    """What cannot be read fails on `decode`, whatever else may be wrong with it."""


def load(raw: bytes) -> Event:
    """Read an event's JSON: no NaN, no half of a surrogate pair, UTF-8, an object."""
    try:
        event = json.loads(raw.decode(), parse_constant=_refuse)
        json.dumps(event, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise UnreadableError from error
    if not isinstance(event, dict):
        raise UnreadableError
    return event


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def moment(value: Any, *, zone: bool = True) -> datetime | None:
    """Read RFC 3339, with or without the need for an offset, in a year that a database holds in any zone."""
    if value is None:
        return None
    found = _TIME.match(value) if isinstance(value, str) else None
    if found is None or (zone and found[8] is None):
        raise UnreadableError
    offset = timedelta(0)
    if found[9]:
        offset = timedelta(hours=int(found[10]), minutes=int(found[11])) * (1 if found[9] == "+" else -1)
        if int(found[10]) > 23 or int(found[11]) > 59:
            raise UnreadableError
    micros = round(int((found[7] or "0").ljust(9, "0")[:9]) / 1000)
    try:
        read = datetime(*(int(found[part]) for part in range(1, 7)), tzinfo=timezone(offset))  # type: ignore[misc, arg-type]
        read += timedelta(microseconds=micros)
    except (ValueError, OverflowError) as error:
        raise UnreadableError from error
    if not 1 < read.year < 9999:
        raise UnreadableError
    return read


def own(raw: bytes, _around: Mapping[str, Any]) -> Event:
    """Read an event of our own dialect."""
    event = load(raw)
    if any(not isinstance(event.get(name), str | None) for name in TEXTS):
        raise UnreadableError
    version = event.get("schema_version")
    if not isinstance(version, int | None) or isinstance(version, bool) or not 0 <= (version or 0) < 2**31:
        raise UnreadableError
    known = {*TEXTS, *OBJECTS, "schema_version", "occurred_at"}
    columns = {name: value for name, value in event.items() if name in known}
    columns["occurred_at"] = moment(event.get("occurred_at"))
    columns["extra"] = {name: value for name, value in event.items() if name not in known}
    return columns


def failures(columns: Event, request: Mapping[str, Any], *, rejected: bool) -> set[str]:
    """Return the facts on which an event that can be read fails."""
    name = columns.get("event_name")
    ahead = _ahead_minutes(columns.get("occurred_at"), request["sent_at"], request["received_at"])
    checks = {
        "edge": not rejected,
        "source_id": request["source_id"] in request["known"],
        "identity": bool(columns.get("user_id") or columns.get("device_id") or name == "$groupidentify"),
        "event_name": name is not None and is_name(name),
        "platform": columns.get("platform") in PLATFORMS,
        "schema_version": columns.get("schema_version") in {None, 1, 2},
        "occurred_ahead_minutes": ahead is None or ahead <= 1440,
        "json_kibibytes": size(columns) < 32 * 1024,
        "text_length": all(len(columns.get(text) or "") <= 1024 for text in (*DEVICE, "platform")),
        **{f"{one}_length": len(columns.get(one) or "") <= 255 for one in IDS},
        **{f"{one}_kind": isinstance(columns.get(one), dict | None) for one in OBJECTS},
    }  # fmt: skip
    return {fact for fact, holds in checks.items() if not holds}


def is_name(text: str) -> bool:
    """Tell whether an event may be called so."""
    inside = set(text[1:]) - set(" .:,;$&/|+*#%!?@=()'[]-_")
    begins = text[:1] in {"$", "["} or (text[:1].isalnum() and not text[:1].isdecimal())
    return begins and len(text) <= 255 and all(map(str.isalnum, inside))


def size(columns: Event) -> int:
    """Return the bytes of an event's JSON columns as a client without blanks wrote them."""
    pieces = [columns.get(name) for name in OBJECTS] + [columns.get("extra") or None]
    return sum(len(json.dumps(piece, separators=(",", ":"))) for piece in pieces if piece is not None)


def _ahead_minutes(occurred: datetime | None, sent: datetime | None, received: datetime) -> int | None:
    if occurred is None:
        return None
    skew = received - sent if sent else timedelta(0)
    try:
        corrected = occurred.astimezone(UTC) + skew if abs(skew) < timedelta(days=366) else occurred
    except OverflowError:  # the years 1 to 9999 are not left
        corrected = occurred
    # Whole seconds first, as the clocks of devices mean them.
    seconds = _seconds(corrected) - _seconds(received)
    return seconds // 60


def _seconds(at: datetime) -> int:
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return int(micros / 1_000_000)


Reading = Callable[[bytes, Mapping[str, Any]], Event]
