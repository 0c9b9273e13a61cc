"""The tables of the mapped dialects, row by row: what stands at a row's path is what its column gets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from include.contract.dialects import amplitude, kinds, reader, segment
from include.contract.dialects.mapping import Column
from include.contract.envelope import Envelope
from include.contract.event import Event, Parsed

MOMENT = datetime(2026, 11, 22, 10, 0, 0, 123000, UTC)
SAMPLES: dict[Any, list[tuple[Any, Any]]] = {
    kinds.identifier: [("id-1", "id-1"), (4711, "4711")],
    kinds.name: [("Order Completed", "Order Completed")],
    kinds.text: [("some text", "some text"), (4.12, "4.12")],
    kinds.session: [(1795393290000, "1795393290000"), ("s-1", "s-1")],
    kinds.epoch_ms: [(1795341600123, MOMENT), (1795341600123.0, MOMENT)],
    kinds.moment: [("2026-11-22T10:00:00.123Z", MOMENT), ("2026-11-22T11:00:00.123+01:00", MOMENT)],
    kinds.platform: [("iOS", "ios"), ("Android", "android"), ("Web", "web"), ("server", "server")],
    kinds.before_slash: [("amplitude-python/1.3.0", "amplitude-python"), ("a/b/2", "a/b")],
    kinds.after_slash: [("amplitude-python/1.3.0", "1.3.0")],
    kinds.obj: [({"a": 1.50, "b": [None]}, {"a": 1.50, "b": [None]})],
    kinds.only_object: [({"ads": True}, {"ads": True})],
}
CASES = [
    pytest.param(dialect, column, call, sent, expected, id=f"{dialect}-{column.name}-{column.path}-{sent}")
    for dialect, table in (("amplitude", amplitude.TABLE), ("segment", segment.TABLE), ("rudder", segment.TABLE))
    for column in table.columns
    for call in sorted(column.calls) or ["track" if column.path != "type" else "screen"]
    for sent, expected in SAMPLES[column.kind]
]


def envelope(dialect: str, call: str = "", **known: Any) -> Envelope:
    return Envelope("r", "shop", dialect, MOMENT, "identity", 1, b"", call=call, **known)


def parse(dialect: str, body: Any, call: str = "", **known: str) -> Parsed:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return reader(dialect, call).parse(text, envelope(dialect, call, **known))


def value(event: Event, column: str) -> Any:
    found = getattr(event, column)
    return msgspec.json.decode(found) if isinstance(found, msgspec.Raw) else found


def _nested(path: str, content: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return {head: _nested(rest, content) if rest else content}


@pytest.mark.parametrize(("dialect", "column", "call", "sent", "expected"), CASES)
def test_a_row_brings_its_value(dialect: str, column: Column, call: str, sent: Any, expected: Any) -> None:
    event = {"type": call, **_nested(column.path, sent)} if dialect != "amplitude" else _nested(column.path, sent)
    if column.path == "type":
        event["type"] = expected = call
    list_name = "events" if dialect == "amplitude" else "batch"
    parsed = parse(dialect, {list_name: [event]})
    assert parsed.problems == {}
    assert value(parsed.events[0], column.name) == expected


@pytest.mark.parametrize("table", [amplitude.TABLE, segment.TABLE])
def test_the_tables_name_our_columns_only(table: Any) -> None:
    assert {column.name for column in table.columns} <= set(Event.__struct_fields__)


def test_what_no_row_takes_is_kept() -> None:
    event = {"event_type": "a", "user_id": "u", "price": 1.50, "groups": {"company": "acme"}, "plan": None, "x": {}}
    parsed = parse("amplitude", {"events": [event]})
    assert json.loads(parsed.extra[0]) == {"price": 1.50, "groups": {"company": "acme"}}


def test_a_value_of_another_type_stays_in_extra_where_nothing_hangs_on_it() -> None:
    parsed = parse("amplitude", {"events": [{"event_type": "a", "os_name": ["x"], "platform": "PlayStation"}]})
    assert parsed.problems == {}
    assert parsed.events[0].os_name is None
    assert json.loads(parsed.extra[0]) == {"os_name": ["x"], "platform": "PlayStation"}


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({"event_type": 5}, "event_type: Expected `str`, got `int`"),
        ({"event_type": "a", "user_id": ["u"]}, "user_id: expected text or a number"),
        ({"event_type": "a", "time": "1795341600123"}, "time: expected milliseconds since 1970 as a number"),
        ({"event_type": "a", "time": True}, "time: expected milliseconds since 1970 as a number"),
        ({"event_type": "a", "time": 10**18}, "time: a year that no database holds"),
        ({"event_type": "a", "time": -(10**14)}, "time: a year that no database holds"),
    ],
)
def test_an_event_that_cannot_be_read_says_why(event: dict[str, Any], problem: str) -> None:
    parsed = parse("amplitude", {"events": [{"event_type": "good"}, event, {"event_type": "good"}]})
    assert parsed.problems == {1: problem}
    assert [one.event_name for one in parsed.events[::2]] == ["good", "good"]


@pytest.mark.parametrize("raw", [b"7", b'"text"', b"[1]", rb'{"a":"\ud83d"', rb'{"event_type":"\ud83d"}'])
def test_an_event_that_is_no_event_costs_itself(raw: bytes) -> None:
    closed = raw + b"}" if raw.count(b"{") > raw.count(b"}") else raw
    parsed = parse("amplitude", b'{"events":[{"event_type":"a"},' + closed + b',{"event_type":"b"}]}')
    assert [one.event_name for one in parsed.events] == ["a", None, "b"]
    assert list(parsed.problems) == [1]


def test_an_unknown_dialect_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="dialect is 'mixpanel'"):
        reader("mixpanel")
