"""What the validation will say of an event, told at once and without Great Expectations, for `/v1/events:validate`.

It reads the same suite, so that the rules are written down once; a test holds its verdicts against the real ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from math import floor
from pathlib import Path
from typing import Any

import msgspec

from include.contract.event import Event, Parsed

SUITE = Path(__file__).parents[2] / "great_expectations" / "expectations" / "events.json"
_ABSURD_SKEW_SECONDS = 366 * 86_400
_IDS = ("event_id", "user_id", "device_id", "session_id")
_TEXTS = ("platform", "app_version", "os_name", "os_version", "device_model", "locale", "country", "library_name",
          "library_version")  # fmt: skip
_OBJECTS = ("consent", "event_properties", "user_properties")
_GIVEN_ID = 64
"""Length of the id that an event without one gets."""

_SHOWN_CHARACTERS = 100
_PLACE = re.compile(r"\{(\w+)\}")

Facts = dict[str, Any]


class Expectation(msgspec.Struct, frozen=True):
    """One line of the suite."""

    type: str
    severity: str
    kwargs: dict[str, Any]
    meta: dict[str, Any]

    def holds(self, facts: Facts) -> bool:
        """Judge one event; nothing but `not_be_null` has an opinion on a value that is not there."""
        value, check = facts[self.kwargs["column"]], _CHECKS[self.type]
        return check(value, self.kwargs) if value is not None or check is _not_null else True

    def sentence(self, value: object, problem: str | None) -> str:
        """Say what is wrong with a value that fails and what to do; the suite's own words with the value put in."""
        known = {"value": _shown(value), "problem": problem, **{name: _shown(one) for name, one in self.kwargs.items()}}
        said = _PLACE.sub(lambda place: str(known[place[1]]), self.meta["failure"])
        return f"{self.kwargs['column']}: {said}"


class _Suite(msgspec.Struct):
    expectations: list[Expectation]


def failures(parsed: Parsed, index: int, rejected: Mapping[int, str], received_at: datetime) -> list[str]:
    """Return why the validation will fail an event of a source that it knows; empty when it will not.

    Each reason begins with the fact that FAILED_EVENTS names too (COLUMN_NAME). Of an event that cannot be decoded
    nothing else is said: what is missing is there perhaps, and only could not be read.
    """
    facts = _facts(parsed, index, index in rejected, received_at)
    failed = [one for one in _gates() if not one.holds(facts)]
    if index in parsed.problems:
        failed = [one for one in failed if one.kwargs["column"] == "decode"]
    problems = {"decode": rejected.get(index) or parsed.problems.get(index), "edge": rejected.get(index)}
    return [one.sentence(facts[one.kwargs["column"]], problems.get(one.kwargs["column"])) for one in failed]


@cache
def _gates() -> tuple[Expectation, ...]:
    suite = msgspec.json.decode(SUITE.read_bytes(), type=_Suite)
    return tuple(
        one for one in suite.expectations if one.severity == "critical" and one.kwargs["column"] != "source_id"
    )


def _facts(parsed: Parsed, index: int, is_rejected: bool, received_at: datetime) -> Facts:  # noqa: FBT001
    event = parsed.events[index]
    json = {name: bytes(getattr(event, name)) for name in _OBJECTS}
    size = sum(len(raw) for raw in json.values() if raw != b"null") + len(parsed.extra.get(index, b""))
    has_identity = event.user_id or event.device_id or event.event_name == "$groupidentify"
    return {
        "decode": "ok" if index not in parsed.problems else "unreadable",
        "edge": "rejected" if is_rejected else "accepted",
        "event_name": event.event_name,
        "platform": event.platform,
        "schema_version": event.schema_version,
        "identity": "present" if has_identity else "missing",
        "occurred_ahead_minutes": _ahead_minutes(event, parsed.sent_at, received_at),
        "json_kibibytes": size // 1024,
        "text_length": max(len(getattr(event, name) or "") for name in _TEXTS),
        **{f"{name}_length": len(getattr(event, name) or "") for name in _IDS},
        "event_id_length": len(event.event_id) if event.event_id else _GIVEN_ID,
        **{f"{name}_kind": "{" if raw == b"null" else raw[:1].decode(errors="replace") for name, raw in json.items()},
    }


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if not isinstance(value, str):
        return f"{value:,}" if isinstance(value, int) else str(value)
    cut = value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}…"
    return msgspec.json.encode(cut).decode()


def _ahead_minutes(event: Event, sent_at: datetime | None, received_at: datetime) -> int | None:
    if event.occurred_at is None:
        return None
    ahead = (event.occurred_at - received_at).total_seconds()
    skew = (received_at - sent_at).total_seconds() if sent_at else 0.0
    return floor((ahead + (skew if abs(skew) < _ABSURD_SKEW_SECONDS else 0.0)) / 60)


def _not_null(value: Any, _: Mapping[str, Any]) -> bool:  # noqa: ANN401 - a fact has any scalar type
    return value is not None


def _in_set(value: Any, kwargs: Mapping[str, Any]) -> bool:  # noqa: ANN401
    return value in kwargs["value_set"]


def _between(value: Any, kwargs: Mapping[str, Any]) -> bool:  # noqa: ANN401
    return bool(kwargs.get("min_value", value) <= value <= kwargs.get("max_value", value))


def _matches(value: Any, kwargs: Mapping[str, Any]) -> bool:  # noqa: ANN401
    return re.match(kwargs["regex"], value) is not None


_CHECKS: dict[str, Callable[[Any, Mapping[str, Any]], bool]] = {
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_match_regex": _matches,
}
