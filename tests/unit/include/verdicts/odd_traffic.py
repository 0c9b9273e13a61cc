"""Seeded requests of three dialects as bytes: good events, and among them whatever clients got wrong."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

RECEIVED = datetime(2026, 11, 23, 10, tzinfo=UTC)
KNOWN = ("phone-app", "web-app")
EVENTS_PER_REQUEST = 50
ODD_SHARE = 0.3
REJECTED_SHARE = 0.01


class Request(NamedTuple):
    """One record of the topic, and what it is made of."""

    dialect: str
    source_id: str
    received_at: datetime
    sent_at: datetime | None
    platform: str
    rejected: frozenset[int]
    events: Sequence[bytes]
    body: bytes


def requests(seed: int, events: int) -> Iterator[Request]:
    """Yield requests with so many events in all."""
    random = Random(seed)  # noqa: S311 - a corpus
    for number in range(-(-events // EVENTS_PER_REQUEST)):
        yield _request(random, number, min(EVENTS_PER_REQUEST, events - number * EVENTS_PER_REQUEST))


def _request(random: Random, number: int, count: int) -> Request:
    dialect = random.choices(("v1", "amplitude", "segment"), (6, 2, 2))[0]
    received = RECEIVED + timedelta(seconds=number % 3600, microseconds=random.randrange(10**6))
    skew = random.choice((0, 0, 0, 2, -3_600, 90_000, -90_000, 366 * 86_400 - 1, 366 * 86_400 + 60, 4 * 10**8))
    sent = None if random.random() < 0.1 else received - timedelta(seconds=skew)
    make = {"v1": _own, "amplitude": _amplitude, "segment": _segment}[dialect]
    events = [_event(random, make(random, received), dialect) for _ in range(count)]
    rejected = frozenset(n for n in range(count) if dialect == "v1" and random.random() < REJECTED_SHARE)
    body = _body(dialect, events, sent)
    source = random.choice((*KNOWN * 10, "stranger"))
    platform = random.choice(("", "", "server"))
    if random.random() < 0.5:
        body = gzip.compress(body, 1)
    return Request(dialect, source, received, sent, platform, rejected, events, body)


def _body(dialect: str, events: list[bytes], sent: datetime | None) -> bytes:
    key, clock = {
        "v1": ("events", "sent_at"),
        "amplitude": ("events", "client_upload_time"),
        "segment": ("batch", "sentAt"),
    }[dialect]
    clock_text = b'"%s":"%s",' % (clock.encode(), sent.isoformat().encode()) if sent else b""
    return b'{%s"%s":[%s]}' % (clock_text, key.encode(), b",".join(events))


def _event(random: Random, good: dict[str, Any], dialect: str) -> bytes:
    if random.random() >= ODD_SHARE:
        return _text(good, random)
    if random.random() < 0.15:
        return random.choice(_BROKEN)(_text(good, random))
    for key in random.sample(sorted(good), random.choice((1, 1, 2))):
        good[key] = _odd_value(random, key)
    if dialect == "v1" and random.random() < 0.2:
        good["occurred_at"] = random.choice(_TIMES)
        # At the limit, which in a foreign dialect also depends on what no column takes.
        good["event_properties"] = {"x": "y" * random.randrange(32_600, 32_800)}
        return json.dumps(good, separators=(",", ":")).encode()
    good.update(random.choice(_MORE))
    return _text(good, random)


def _odd_value(random: Random, key: str) -> Any:
    match random.randrange(6):
        case 0 if key == "context":
            return random.choice(_ODD_CONTEXTS)
        case 1:
            return random.choice(("ü", "x")) * random.choice(_LONG)
        case 2:
            return random.choice(_TIMES)
        case 3:
            return {"x": "y" * random.choice((100, 20_000, 33_500, 70_000))}
    return random.choice(_ODD)


def _text(event: dict[str, Any], random: Random) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=random.random() < 0.5).encode()


def _id(random: Random) -> str:
    return f"{random.getrandbits(64):016x}"


def _own(random: Random, at: datetime) -> dict[str, Any]:
    when = at - timedelta(seconds=random.choice((1, 60, 86_400, 10**7, -600, -86_400, -90_000)))
    return {
        "event_id": _id(random), "event_name": random.choice(_NAMES), "schema_version": random.choice((1, 2, None)),
        "user_id": random.choice((None, _id(random))), "device_id": _id(random), "session_id": _id(random),
        "occurred_at": when.isoformat(), "platform": random.choice(("ios", "android", "web", "car", "server")),
        "app_version": "4.12.1", "os_name": "iOS", "os_version": "26", "device_model": "iPhone", "locale": "de-DE",
        "country": random.choice(("DE", None)), "library_name": "http", "library_version": "1",
        "consent": {"analytics": True}, "event_properties": {"n": random.random(), "z": "Zürich"},
        "user_properties": random.choice((None, {"plan": "gold"})),
    }  # fmt: skip


def _amplitude(random: Random, at: datetime) -> dict[str, Any]:
    when = at.timestamp() * 1000 - random.choice((1, 10**5, 10**9, -(10**5), -(10**8)))
    return {
        "insert_id": _id(random), "event_type": random.choice(_NAMES), "user_id": random.choice((None, _id(random))),
        "device_id": _id(random), "session_id": random.choice((-1, 1_795_393_290_000, "s")),
        "time": random.choice((int(when), when)), "platform": random.choice(("iOS", "Android", "Web", "Linux")),
        "app_version": "4.1", "os_name": "Android", "device_model": "Pixel", "language": "German",
        "os_version": random.choice(("15", "15", 15)),
        "country": "DE", "library": "amplitude-ts/2.1.0", "ip": "$remote", "event_id": random.randrange(99),
        "event_properties": random.choice(({"consent": {"analytics": True}, "n": 1}, {"a": [1, {}]})),
        "user_properties": {"$set": {"plan": "gold"}},
    }  # fmt: skip


def _segment(random: Random, at: datetime) -> dict[str, Any]:
    when = (at - timedelta(seconds=random.choice((1, 10**5, -600, -90_000)))).isoformat()
    return {
        "messageId": _id(random), "type": random.choice(("track", "track", "identify", "page", "group")),
        "event": random.choice(_NAMES), "userId": random.choice((None, _id(random))), "anonymousId": _id(random),
        "timestamp": random.choice((when, None, when[:19])), "originalTimestamp": when, "channel": "server",
        "context": {
            "app": {"version": "1"}, "os": {"name": random.choice(("iOS", "Plan 9")), "version": 15},
            "device": {"model": "Pixel", "type": random.choice(("android", None, 5))}, "locale": "de-DE",
            "library": {"name": "analytics-node", "version": "3"}, "traits": {"a": 1},
            "sessionId": random.choice((7, "s")),
            "consent": {"categoryPreferences": {"analytics": True}},
        },
        "properties": {"n": random.random()}, "traits": {"plan": "gold"}, "integrations": {},
    }  # fmt: skip


_NAMES = ("screen_viewed", "Order Completed", "$identify", "[Amplitude] Page Viewed", "Öffnen", "名前", "a.b:c")
_LONG = (255, 256, 1_024, 1_025)
_ODD: Sequence[Any] = (
    None, "", 5, True, 1.5, [], {}, "1st", 2**31, 10**60, -1, [{"a": 1}], "tap\n", "a\0b", "<b>", "symbian", "web",
    "\U0001f600", "e\u0301", "\u0661", "$groupidentify",
)  # fmt: skip
_ODD_CONTEXTS: Sequence[Any] = (
    {"os": 5, "device": [], "library": None}, {"sessionId": {}}, {"os": {"name": "web"}}, {"locale": "x" * 1_025},
    {"traits": [], "consent": {"categoryPreferences": []}},
)  # fmt: skip
_MORE: Sequence[dict[str, Any]] = (
    {}, {"unknown": 1}, {"más": {"x": None}, "$request": 1}, {"huge": 10**400}, {"bulk": "y" * 10},
    {"bulk": "y" * 20_000}, {"bulk": "y" * 40_000},
)  # fmt: skip
_TIMES = (
    "2026-11-23T10:00:00Z", "2026-11-23 10:00:00+01:00", "2026-11-23t09:00:00.123456789z", "2026-11-23T10:00:00+0100",
    "2026-11-23T10:00:00", "2026-02-30T10:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T10:00:60Z", "2026-11-23T10:00Z",
    "20261123T100000Z", "2026-11-23", "yesterday", "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00",
    "9998-12-31T23:59:59Z", "0002-01-01T00:00:00Z", "1969-12-31T23:59:59.5Z", "2026-11-24T10:30:00Z",
    "2040-01-01T00:00:00Z",
    "2026-11-23T10:00:00-25:00", "2026-11-23T10:00:00+05:99",
)  # fmt: skip
_BROKEN: Sequence[Callable[[bytes], bytes]] = (
    lambda raw: raw.replace(b":", b":NaN,", 1)[:-1] + b',"x":NaN}',
    lambda raw: raw[:-1] + b',"x":"\\ud83d"}',
    lambda raw: raw[:-1] + b',"x":"\xff","event_name":"\xff","event_type":"\xff","type":"\xff"}',
    lambda raw: raw[:-1] + b',"x":01}',
    lambda raw: raw[:-1] + b',"x":"\x01"}',
    lambda raw: raw[:-1] + b',"x":"\\q"}',
    lambda raw: raw[:-1] + b',"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    lambda raw: raw[:-1] + b',"x":1e999}',
    lambda raw: raw[:-1] + b',"platform":"ios","platform":7}',
    lambda _: b"5", lambda _: b"null", lambda _: b'"text"', lambda _: b"[1]", lambda _: b"{}",
)  # fmt: skip
