"""The verdicts of the suite equal those of an independent row-by-row reading of the contract, on generated traffic."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from include.contract import edge, verdict
from include.contract.event import parse
from include.quality import suite
from include.rows import Chunk, Decoded
from local.traffic import PlannedRequest, TrafficConfig, generate

pytestmark = pytest.mark.usefixtures("gx")
START = datetime(2026, 11, 23, 8, tzinfo=UTC)
KNOWN = ["phone-app", "web-app"]
STRINGS = {
    "event_id", "event_name", "user_id", "device_id", "session_id", "platform", "app_version", "os_name", "os_version",
    "device_model", "locale", "country", "library_name", "library_version",
}  # fmt: skip
IDS = ("event_id", "user_id", "device_id", "session_id")
TEXTS = STRINGS - set(IDS) - {"event_name"}
OBJECTS = ("consent", "event_properties", "user_properties")
FIELDS = STRINGS | {"schema_version", "occurred_at", "consent", "event_properties", "user_properties"}


def _is_name(text: str) -> bool:
    first, inside = text[:1], set(text[1:]) - set(" .:,;$&/|+*#%!?@=()'[]-_")
    starts_well = first in {"$", "["} or (first.isalnum() and not first.isdecimal())
    return starts_well and len(text) <= 255 and all(map(str.isalnum, inside))


def requests(seed: int) -> list[PlannedRequest]:
    config = TrafficConfig(
        seed=seed, start=START, malformed_ratio=0.25, without_id_ratio=0.05, skewed_ratio=0.3, offline_ratio=0.05
    )
    return list(islice(generate(config), 60))


def readable(event: dict[str, Any]) -> bool:
    """Say whether every field has the type that dialect v1 gives it."""
    if any(not isinstance(event.get(name), str | None) for name in STRINGS):
        return False
    if not isinstance(event.get("schema_version"), int | None):
        return False
    return event.get("occurred_at") is None or moment(event["occurred_at"]) is not None


def moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


def ahead_minutes(event: dict[str, Any], sent_at: datetime, received_at: datetime) -> int | None:
    occurred = moment(event.get("occurred_at"))
    if occurred is None:
        return None
    skew = received_at - sent_at
    corrected = occurred + skew if abs(skew).days < 366 else occurred
    return int((corrected - received_at).total_seconds() // 60)


def size(event: dict[str, Any]) -> int:
    extra = {name: value for name, value in event.items() if name not in FIELDS}
    pieces = [event.get(name) for name in ("consent", "event_properties", "user_properties")] + [extra or None]
    return sum(len(json.dumps(piece, separators=(",", ":"))) for piece in pieces if piece is not None)


def oracle(event: dict[str, Any], request: PlannedRequest, sent_at: datetime, *, rejected: bool) -> set[str]:
    """Return the facts on which the event fails a gate; where its types are wrong, only that."""
    if not readable(event):
        return {"decode", "edge"} if rejected else {"decode"}
    name, platform = event.get("event_name"), event.get("platform")
    ahead = ahead_minutes(event, sent_at, request.due_at)
    checks = {
        "edge": not rejected,
        "source_id": request.source_id in KNOWN,
        "identity": bool(event.get("user_id") or event.get("device_id")),
        "event_name": name is not None and _is_name(name),
        "platform": platform in ("ios", "android", "web", "car", "server"),
        "schema_version": event.get("schema_version") in (None, 1, 2),
        "occurred_ahead_minutes": ahead is None or ahead <= 1440,
        "json_kibibytes": size(event) < 32 * 1024,
        "text_length": all(len(event.get(name) or "") <= 1024 for name in TEXTS),
        **{f"{name}_length": len(event.get(name) or "") <= 255 for name in IDS},
        **{f"{name}_kind": isinstance(event.get(name), dict | None) for name in OBJECTS},
    }  # fmt: skip
    return {fact for fact, holds in checks.items() if not holds}


def judged(planned: list[PlannedRequest]) -> Iterator[tuple[set[str], set[str], str]]:
    """Yield, per event, the facts that the suite and the oracle fail it on, and what the generator meant."""
    chunk = Chunk(0, "b")
    expected: list[tuple[set[str], str]] = []
    for offset, request in enumerate(planned):
        body = gzip.decompress(request.body)
        parsed, rejected = parse(body), dict(edge.check(body).rejected)
        chunk.envelopes.append(
            Decoded(
                offset, request.source_id, request.due_at, parsed.sent_at, body, parsed.events, parsed.extra,
                parsed.problems, rejected,
            )
        )  # fmt: skip
        whole = json.loads(body)
        sent_at = datetime.fromisoformat(whole["sent_at"])
        for index, (event, meant) in enumerate(zip(whole["events"], request.events, strict=True)):
            expected.append((oracle(event, request, sent_at, rejected=index in rejected), meant.expected))
    failed = suite("events").judge(chunk.facts(chunk.table()), {"known_sources": KNOWN}).failed
    for row, (facts, intended) in enumerate(expected):
        found = {reason.column for reason in failed.get(row, [])}
        # What else an event of wrong types fails on depends on how much of it could be read.
        yield found & {"decode", "edge"} if "decode" in found else found, facts, intended


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_verdicts_equal_an_independent_reading(seed: int) -> None:
    verdicts = list(judged(requests(seed)))
    different = [(row, found, facts) for row, (found, facts, _) in enumerate(verdicts) if found != facts]
    assert different == []
    kinds = set().union(*(facts for _, facts, _ in verdicts))
    assert len(kinds) >= 9, f"the corpus trips many gates, not only {kinds}"


@pytest.mark.parametrize("seed", [5, 6])
def test_the_api_foresees_the_verdicts(seed: int) -> None:
    planned = [request for request in requests(seed) if request.source_id in KNOWN]
    foreseen = []
    for request in planned:
        body = gzip.decompress(request.body)
        parsed, rejected = parse(body), dict(edge.check(body).rejected)
        for index in range(len(parsed.events)):
            reasons = verdict.failures(parsed, index, rejected, request.due_at)
            foreseen.append({reason.partition(":")[0] for reason in reasons})
    # Of what cannot be decoded the API says only that.
    actual = [{"decode"} if "decode" in found else found for found, _, _ in judged(planned)]
    assert foreseen == actual
    assert any(actual)


def test_what_the_generator_meant_as_malformed_fails_and_the_rest_passes() -> None:
    planned = [request for request in requests(4) if request.source_id in KNOWN]
    for found, _, meant in judged(planned):
        assert bool(found) == (meant == "failed")
