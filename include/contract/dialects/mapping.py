"""The table by which a foreign dialect's events become our columns, and the walk over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Raw

from include.contract.dialects import kinds
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


class _Step(NamedTuple):
    name: str
    head: str
    rest: tuple[str, ...]
    kind: Callable[[Raw], Any]
    path: str


class Table:
    """A dialect's rows, made ready for each kind of call."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self._steps: dict[str, tuple[_Step, ...]] = {}

    def map(self, fields: Fields, call: str) -> Mapped:
        """Return an event's fields as columns; a field that is used up or empty is not kept as extra."""
        values: dict[str, Any] = {}
        used: set[str] = set()
        problems: list[str] = []
        nested: dict[str, Fields] = {}
        for step in self._for(call):
            if step.name in values or (raw := _find(fields, nested, step)) is None:
                continue
            try:
                value = step.kind(raw)
            except (ValueError, *UNREADABLE) as error:
                problems.append(f"{step.path}: {error}")
                continue
            if value is not None:
                values[step.name] = value
                if not step.rest:
                    used.add(step.head)
        extra = {key: raw for key, raw in fields.items() if key not in used and bytes(raw) not in _EMPTY}
        return Mapped(Event(**values), extra, "; ".join(problems) or None)

    def _for(self, call: str) -> tuple[_Step, ...]:
        if call not in self._steps:
            self._steps[call] = tuple(_steps(self.columns, call))
        return self._steps[call]


def merged(below: Mapping[str, Raw], above: Fields, key: str) -> Fields:
    """Return fields in which the object `key` has what the request says, overridden by what the event says."""
    try:
        base, own = fields_of(below[key]), fields_of(above.get(key, Raw(b"{}")))
    except UNREADABLE:
        return above
    return {**above, key: Raw(join({**base, **own}))}


def _steps(columns: Iterable[Column], call: str) -> Iterable[_Step]:
    for column in columns:
        if not column.calls or call in column.calls:
            head, *rest = column.path.split(".")
            yield _Step(column.name, head, tuple(rest), column.kind, column.path)


def _find(fields: Fields, nested: dict[str, Fields], step: _Step) -> Raw | None:
    if not step.rest:
        return fields.get(step.head)
    place, within = step.head, fields
    for key in step.rest:
        if place not in nested:
            nested[place] = _object(within.get(place.rpartition(".")[2]))
        within = nested[place]
        place = f"{place}.{key}"
    return within.get(step.rest[-1])


def _object(raw: Raw | None) -> Fields:
    try:
        return fields_of(raw) if raw is not None else {}
    except UNREADABLE:
        return {}
