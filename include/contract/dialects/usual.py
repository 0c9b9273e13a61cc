"""The quick way over a dialect's table, for events as SDKs send them: one typed decode in place of one per value.

It says the same as the walk over the table or nothing at all: whatever is odd about an event, the walk decides.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Raw

from include.contract.dialects import kinds
from include.contract.event import ABSENT, Event
from include.contract.extra import UNREADABLE, fields_of

Kind = Callable[[Any], Any]
Text = Annotated[str, msgspec.Meta(min_length=1)] | None
_TYPED: dict[Kind, Any] = {kinds.identifier: Text, kinds.text: Text, kinds.name: str | None, kinds.obj: Raw}
"""Kinds whose usual value is the column's value as it is decoded."""
_REPEATED = {kinds.text, kinds.platform, kinds.before_slash, kinds.after_slash, kinds.session}
_NO_KEY = secrets.token_hex()
"""What no client can name: these columns are set here, not decoded."""
REMEMBERED = 4_096
"""Objects such as `context`, and values such as a platform, that come again and then say the same."""


class Step(NamedTuple):
    """A row of a dialect's table: the column, the keys that lead to the value, and its kind."""

    name: str
    path: tuple[str, ...]
    kind: Kind


class _Try(NamedTuple):
    """Where a column's value may be: in a field of its own, or among what an object inside said."""

    field: str
    kind: Kind
    uses: tuple[str, ...]
    inside: int


class Usual:
    """A table's steps for one kind of call, as a typed decoder whose fields are our columns."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """Take the steps in the order in which they are tried."""
        sure = [step for step in steps if _is_sure(step, steps)]
        heads = dict.fromkeys(step.path[0] for step in steps if len(step.path) > 1)
        self._fields = {step.path[0]: step.name for step in sure}
        keys = dict.fromkeys(step.path[0] for step in steps)
        self._fields.update((key, f"raw_{n}") for n, key in enumerate(keys) if key not in self._fields)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            _struct(self._fields, {step.path[0]: _TYPED[step.kind] for step in sure})
        )
        self._used = frozenset(step.path[0] for step in sure)
        rest = [step for step in steps if step not in sure]
        self._inside = [(self._fields[key], _inside([s for s in rest if _is_in(s, key)], steps)) for key in heads]
        mixed = dict.fromkeys(step.name for step in rest if len(_places(step.name, steps)) > 1 or len(step.path) == 1)
        self._tried = [(name, self._tries(name, rest, list(heads))) for name in mixed]

    def map(self, raw: bytes | Raw) -> tuple[Event, frozenset[str]] | None:
        """Return an event in our columns and the top-level keys that it used up; None where the walk must decide."""
        used: list[str] = []
        try:
            event: Event = self._decoder.decode(raw)
            said = []
            for field, inside in self._inside:
                alone, mixed = inside(bytes(getattr(event, field)))
                said.append(mixed)
                for name, value in alone:
                    setattr(event, name, value)
            for name, tries in self._tried:
                for field, kind, uses, place in tries:
                    value = said[place].get(name) if place >= 0 else kind(getattr(event, field))
                    if value is not None:
                        setattr(event, name, value)
                        used += uses
                        break
        except (ValueError, *UNREADABLE):
            return None
        return event, self._used.union(used)

    def _tries(self, name: str, rest: Iterable[Step], heads: list[str]) -> list[_Try]:
        found: dict[_Try, None] = {}
        for step in (step for step in rest if step.name == name):
            key = step.path[0]
            if len(step.path) > 1:
                found[_Try("", kinds.obj, (), heads.index(key))] = None
            else:
                found[_Try(self._fields[key], _remembered(step.kind), (key,), -1)] = None
        return list(found)


@cache
def _remembered(kind: Kind) -> Kind:
    if kind not in _REPEATED:
        return kind
    of_bytes = lru_cache(REMEMBERED)(kind)
    return lambda raw: of_bytes(bytes(raw))


def _is_sure(step: Step, steps: Sequence[Step]) -> bool:
    """Tell whether a top-level value can only be this column's, and is one as it is decoded."""
    others = [one for one in steps if one is not step]
    shared = [one for one in others if one.path[0] == step.path[0]]
    if step.kind not in _TYPED or len(step.path) > 1 or any(one.name == step.name for one in others):
        return False
    return not shared or (step.kind is kinds.obj and all(len(one.path) > 1 for one in shared))


def _is_in(step: Step, key: str) -> bool:
    return len(step.path) > 1 and step.path[0] == key


def _places(name: str, steps: Iterable[Step]) -> set[str]:
    return {step.path[0] for step in steps if step.name == name}


def _inside(steps: Sequence[Step], every: Sequence[Step]) -> Callable[[bytes], tuple[Any, dict[str, Any]]]:
    """Return what reads the columns in an object: those that are nowhere else, and those that may be elsewhere too."""
    words = [step.path[-1].encode() for step in steps]

    @lru_cache(maxsize=REMEMBERED)
    def read(data: bytes) -> tuple[Any, dict[str, Any]]:
        found: dict[str, Any] = {}
        for step in steps:
            if step.name not in found and (value := _value(Raw(data), step)) is not None:
                found[step.name] = value
        mixed = {name: value for name, value in found.items() if len(_places(name, every)) > 1}
        return tuple(item for item in found.items() if item[0] not in mixed), mixed

    # A key is spelled out in an object that has it, or has an escape.
    return lambda data: read(data) if any(word in data for word in words) or b"\\" in data else ((), {})


def _value(within: Raw, step: Step) -> Any:  # noqa: ANN401 - each kind has its own
    for key in step.path[1:]:
        fields = fields_of(within)  # what is no object is odd
        if key not in fields:
            return None
        within = fields[key]
    return step.kind(within)


def _struct(fields: dict[str, str], types: dict[str, Any]) -> type[msgspec.Struct]:
    """Return events that are decoded from a dialect's own keys; no key leads to what is made of other values."""
    made = [(name, types.get(key, Raw), _default(types.get(key, Raw))) for key, name in fields.items()]
    others = [one for one in msgspec.structs.fields(Event) if one.name not in fields.values()]
    made += [(one.name, one.type, one.default) for one in others]
    wire = {name: key for key, name in fields.items()} | {one.name: f"{_NO_KEY} {one.name}" for one in others}
    return msgspec.defstruct("Usual", made, bases=(Event,), rename=wire, forbid_unknown_fields=False, gc=False)


def _default(kind: Any) -> Any:  # noqa: ANN401
    return ABSENT if kind is Raw else None
