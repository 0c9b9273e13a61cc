"""The table by which a foreign dialect's events become our columns, and the walk over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from msgspec import Raw

from include.contract.dialects import kinds
from include.contract.dialects.usual import Step, Usual
from include.contract.event import Event
from include.contract.extra import UNREADABLE, Fields, fields_of, join

_EMPTY = {b"null", b"{}", b'""'}


class Column(NamedTuple):
    """One row of a dialect's table: a value on the wire, and the column it goes to.

    `path` is the key on the wire, with dots into nested objects. Where several rows name one column, the first that
    has a value counts. `calls` limits a row to some kinds of calls.
    """

    name: str
    path: str
    kind: Callable[[Raw], Any] = kinds.text
    calls: frozenset[str] = frozenset()


class Mapped(NamedTuple):
    """An event in our columns, what no column took, and why it cannot be read, if so."""

    event: Event
    extra: Fields
    problem: str | None


class Table:
    """A dialect's rows, made ready for each kind of call."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self._calls = frozenset(call for column in columns for call in column.calls)
        self._steps: dict[str, tuple[Step, ...]] = {}
        self._usual: dict[str, Usual] = {}

    def map(self, fields: Fields, call: str, raw: bytes | Raw | None = None) -> Mapped:
        """Return an event's fields as columns; a field that is used up or empty is not kept as extra.

        `raw` is the event as the client wrote it, where `fields` is nothing else.
        """
        call = call if call in self._calls else ""
        if call not in self._steps:
            self._steps[call] = tuple(_steps(self.columns, call))
            self._usual[call] = Usual(self._steps[call])
        if raw is not None and (found := self._usual[call].map(raw)) is not None:
            return Mapped(found[0], _extra(fields, found[1]), None)
        return self._walk(fields, self._steps[call])

    def _walk(self, fields: Fields, steps: Iterable[Step]) -> Mapped:
        values: dict[str, Any] = {}
        used: set[str] = set()
        problems: list[str] = []
        nested: dict[str, Fields] = {}
        for step in steps:
            if step.name in values or (raw := _find(fields, nested, step.path)) is None:
                continue
            try:
                value = step.kind(raw)
            except (ValueError, *UNREADABLE) as error:
                problems.append(f"{'.'.join(step.path)}: {error}")
                continue
            if value is not None:
                values[step.name] = value
                used.update(step.path if len(step.path) == 1 else ())
        return Mapped(Event(**values), _extra(fields, used), "; ".join(problems) or None)


def merged(below: Mapping[str, Raw], above: Fields, key: str) -> Fields:
    """Return fields in which the object `key` has what the request says, overridden by what the event says."""
    try:
        base, own = fields_of(below[key]), fields_of(above.get(key, Raw(b"{}")))
    except UNREADABLE:
        return above
    return {**above, key: Raw(join({**base, **own}))}


def _steps(columns: Iterable[Column], call: str) -> Iterable[Step]:
    for column in columns:
        if not column.calls or call in column.calls:
            yield Step(column.name, tuple(column.path.split(".")), column.kind)


def _extra(fields: Fields, used: Set[str]) -> Fields:
    return {key: raw for key, raw in fields.items() if key not in used and bytes(raw) not in _EMPTY}


def _find(fields: Fields, nested: dict[str, Fields], path: tuple[str, ...]) -> Raw | None:
    place, within = path[0], fields
    for key in path[1:]:
        if place not in nested:
            nested[place] = _object(within.get(place.rpartition(".")[2]))
        within = nested[place]
        place = f"{place}.{key}"
    return within.get(path[-1])


def _object(raw: Raw | None) -> Fields:
    try:
        return fields_of(raw) if raw is not None else {}
    except UNREADABLE:
        return {}
