"""Events become columns block by block: the same ones whatever the blocks, and none where one event raises."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from include import columns
from include.columns import Columns
from include.contract.event import Event

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)


def event(number: int, **changes: Any) -> Event:
    known: dict[str, Any] = {
        "event_id": str(number), "event_name": f"n{number % 3}", "occurred_at": AT,
        "platform": "ios" if number % 7 else None,
        "schema_version": number % 2 or None, "event_properties": msgspec.Raw(b'{"n": %d}' % number),
    }  # fmt: skip
    return Event(**known | changes)


def columns_of(*blocks: list[Event]) -> dict[str, list[Any]]:
    made = Columns()
    for block in blocks:
        made.add(block)
    return {name: array.to_pylist() for name, array in made.arrays().items()}


def test_columns_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [event(number) for number in range(25)]
    whole = columns_of(events)
    assert whole["event_id"] == [str(number) for number in range(25)]
    assert whole["event_properties"][24] == '{"n": 24}'
    assert whole["platform"][:8] == [None, *["ios"] * 6, None]
    monkeypatch.setattr(columns, "BLOCK_EVENTS", 4)
    assert columns_of(events) == columns_of(events[:1], [], events[1:]) == whole


def test_every_field_is_a_column() -> None:
    assert set(columns_of()) == set(columns_of([event(1)])) == set(Event.__struct_fields__)


def test_null_is_null_and_bytes_that_are_no_text_are_replaced() -> None:
    raws = [b"null", b'"\xff"', b"[1]", b"null", b'{"a":null}']
    found = columns_of([event(0, consent=msgspec.Raw(raw)) for raw in raws])
    assert found["consent"] == [None, '"\ufffd"', "[1]", None, '{"a":null}']
    assert found["user_properties"] == [None] * 5


def test_a_byte_that_no_json_has_changes_no_neighbour() -> None:
    raws = [b'"a"', b'"\0"', b"1"]
    assert columns_of([event(0, consent=msgspec.Raw(raw)) for raw in raws])["consent"] == ['"a"', '"\0"', "1"]


def test_events_are_taken_all_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "BLOCK_EVENTS", 2)
    made = Columns()
    made.add([event(0)])
    with pytest.raises(pa.ArrowException):
        made.add([event(1), event(2), event(3, schema_version=2**40)])
    made.add([event(4)])
    assert made.arrays()["event_id"].to_pylist() == ["0", "4"]
