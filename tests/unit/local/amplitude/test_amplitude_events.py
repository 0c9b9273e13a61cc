"""The rules for one event, each at its limit."""

from __future__ import annotations

from typing import Any

import pytest

from local.amplitude.events import BANNED_IDS, check, device_of

GOOD: dict[str, Any] = {"device_id": "device-1", "event_type": "opened", "time": 1_795_393_297_820}


def problems(**changes: object) -> list[tuple[str, str]]:
    return [(problem.group, problem.field) for problem in check({**GOOD, **changes}).problems]


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"in": value}
    return value


def test_keeps_documented_fields_and_ignores_others() -> None:
    event, found = check({**GOOD, "event_properties": {"a": [1, None]}, "favourite_colour": "blue", "country": None})
    assert found == []
    assert event == {**GOOD, "event_properties": {"a": [1, None]}}


@pytest.mark.parametrize("value", ["1795393297820", 1.5, True, -1, 10**18])
def test_time_must_be_epoch_milliseconds(value: object) -> None:
    assert problems(time=value) == [("invalid_fields", "time")]


@pytest.mark.parametrize("value", [None, 0])
def test_time_may_be_missing(value: object) -> None:
    assert problems(time=value) == []


@pytest.mark.parametrize("banned", sorted(BANNED_IDS))
def test_a_banned_id_is_dropped_and_costs_the_event_only_without_another(banned: str) -> None:
    event, found = check({**GOOD, "user_id": banned})
    assert (found, "user_id" in event) == ([], False)
    assert problems(device_id=banned.upper())[0][1] == "device_id"


def test_short_ids() -> None:
    assert check({**GOOD, "user_id": "1234"}).event == GOOD
    assert problems(device_id="1234") == [("invalid_id_lengths", "device_id")]
    assert problems(device_id="12345") == []
    assert check({**GOOD, "device_id": "1"}, min_id_length=1).problems == []


def test_ids_missing_or_of_a_wrong_type() -> None:
    assert problems(device_id=None) == [("missing_fields", "user_id"), ("missing_fields", "device_id")]
    assert problems(device_id=12345) == [("invalid_fields", "device_id")]
    assert problems(user_id="u" * 1025) == [("invalid_fields", "user_id")]


@pytest.mark.parametrize("value", ["", 3, "[Amplitude] Revenue", "e" * 1025])
def test_event_type_must_be_a_free_name(value: object) -> None:
    assert problems(event_type=value) == [("invalid_fields", "event_type")]


def test_event_type_is_required() -> None:
    assert problems(event_type=None) == [("missing_fields", "event_type")]


def test_strings_end_at_1024_characters_and_objects_at_40_layers() -> None:
    assert problems(insert_id="i" * 1024, event_properties={"deep": ["s" * 1024]}) == []
    assert problems(insert_id="i" * 1025) == [("invalid_fields", "insert_id")]
    assert problems(user_properties={"deep": ["s" * 1025]}) == [("invalid_fields", "user_properties")]
    assert problems(event_properties=nested(40)) == []
    assert problems(event_properties=nested(41)) == [("invalid_fields", "event_properties")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", "evt-1"), ("session_id", "17953"), ("session_id", True), ("event_properties", "[]"),
        ("groups", []), ("price", "4"), ("platform", 1), ("$skip_user_properties_sync", "true"),
    ],
)  # fmt: skip
def test_types_of_fields(field: str, value: object) -> None:
    assert problems(**{field: value}) == [("invalid_fields", field)]


def test_without_a_device_the_user_id_is_hashed() -> None:
    assert device_of({"user_id": "user-1", "device_id": "device-1"}) == "device-1"
    assert device_of({"user_id": "user-1"}) == device_of({"user_id": "user-1"}) != device_of({"user_id": "user-2"})
