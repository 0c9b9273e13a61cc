"""The quick way over a dialect's table says what the walk over it says, of any event, or leaves it to the walk."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from include.contract.dialects import amplitude, segment
from include.contract.dialects.mapping import Mapped, Table
from include.contract.event import Event
from include.contract.extra import UNREADABLE, fields_of
from tests.unit.include.verdicts.odd_traffic import requests

DIALECTS = {
    "amplitude": (amplitude.TABLE, ("", "identify")),
    "segment": (segment.TABLE, ("track", "identify", "page", "odd")),
}
EVENTS = 4_000


def shown(mapped: Mapped) -> tuple[dict[str, Any], dict[str, bytes], str | None]:
    columns = {name: getattr(mapped.event, name) for name in Event.__struct_fields__}
    plain = {name: bytes(value) if isinstance(value, msgspec.Raw) else value for name, value in columns.items()}
    return plain, {key: bytes(raw) for key, raw in mapped.extra.items()}, mapped.problem


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_quick_way_says_what_the_walk_says(dialect: str) -> None:
    table, calls = DIALECTS[dialect]
    quick = 0
    every = [raw for request in requests(3, EVENTS * 5) if request.dialect == dialect for raw in request.events]
    for raw in every:
        try:
            fields = fields_of(raw)
        except UNREADABLE:
            continue
        for call in calls:
            assert shown(table.map(fields, call, raw)) == shown(table.map(fields, call)), raw
            quick += table._usual[call if call in table._calls else ""].map(raw) is not None
    assert quick > len(every) * len(calls) / 2, "most events are usual"


@pytest.mark.parametrize(("raw", "name"), [
    (b'{"event_type":"tap","user_id":5}', "digits"), (b'{"event_type":"tap","session_id":-0}', "minus zero"),
    (b'{"event_type":"tap","session_id":1.0}', "a float"), (b'{"event_type":"tap","":"x"}', "a key without a name"),
    (b'{"event_type":"tap","occurred_at":"2026-11-23T10:00:00Z","raw_0":1}', "our own names"),
    (b'{"event_type":"tap","event_properties":{"\\u0063onsent":{"a":true}}}', "an escaped key"),
    (b'{"event_type":"a","event_type":"b","user_id":"","platform":"IOS"}', "twice the same key"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_odd_spellings_mean_the_same_both_ways(raw: bytes, name: str) -> None:
    fields = fields_of(raw)
    assert shown(amplitude.TABLE.map(fields, "", raw)) == shown(amplitude.TABLE.map(fields, ""))


def test_a_call_that_no_row_names_is_not_remembered() -> None:
    table = Table(segment.TABLE.columns)
    for number in range(100):
        table.map({}, f"made up {number}")
    assert set(table._steps) == {""}, "clients choose the names of their calls"
