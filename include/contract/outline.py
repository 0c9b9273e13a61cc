"""What the edge needs of a foreign dialect's body before anybody reads its events: how many, whose, with which key."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import Raw

from include.contract.dialects import kinds
from include.contract.extra import UNREADABLE, Fields, fields_of, loose_fields, readable_fields
from include.contract.splitting import NotARequestError, pieces
from include.contract.walking import STRING

_text = msgspec.json.Decoder(str)
_DEVICE_CHARACTERS = 255
_MOST_KEYS = 10


class Outline(msgspec.Struct, frozen=True, gc=False):
    """A body's events as the client's own bytes, and the write key as it is spelled in the body, if there is one."""

    events: Sequence[bytes | Raw]
    key_literal: bytes | None
    device: str | None
    """Device, else user, of the first event that names one: the Kafka record's key."""
    first: Fields
    """The first event's fields; empty where it cannot be read."""

    @property
    def write_key(self) -> str | None:
        """Return the write key that the body carries."""
        return None if self.key_literal is None else _text_of(self.key_literal)


def outline(body: bytes, events_key: str, write_key_name: str, device_names: tuple[str, ...]) -> Outline:
    """Look at an inflated body; an empty `events_key` means that the body itself is the event.

    Raises NotARequestError where it is not a JSON object with a list of events. An event may be undecodable.
    """
    if events_key:
        events: Sequence[bytes | Raw]
        events, literal = _batch(body, events_key, write_key_name)
        first = readable_fields(events[0]) if events else {}
    else:
        events, first = [body], _call(body)
        literal = _literal(first, write_key_name)
    return Outline(events, literal, _device(events, first, device_names), first)


def write_keys_of(body: bytes, write_key_name: str) -> list[str]:
    """Return the write key of an inflated body without looking at its events; empty where there is none.

    Of a body that cannot be decoded these are the first texts that anything in it names as a key: where the events are
    nobody looks before it is known that the sender has a key. Raises NotARequestError where there are none.
    """
    try:
        literals = [bytes(_key_alone(write_key_name).decode(body).write_key)]
    except UNREADABLE as error:
        named = _named(write_key_name).finditer(body)
        literals = [found[1] for found in itertools.islice(named, _MOST_KEYS)]
        if not literals:
            raise _not_a_request(error) from error
    return [text for literal in literals if (text := _text_of(literal))]


def _batch(body: bytes, events_key: str, write_key_name: str) -> tuple[Sequence[bytes | Raw], bytes | None]:
    try:
        found = _request(events_key, write_key_name).decode(body)
    except UNREADABLE as error:
        events, around = pieces(body, events_key, error)
        return events, dict(around).get(write_key_name)
    return found.events, bytes(found.write_key) or None


def _call(body: bytes) -> Fields:
    try:
        return fields_of(body)
    except UNREADABLE as error:
        try:
            return loose_fields(body)
        except NotARequestError:
            # The first error knows the place.
            raise _not_a_request(error) from error


def _not_a_request(error: Exception) -> NotARequestError:
    said = str(error).removeprefix("JSON is malformed: ").replace("`", "")
    return NotARequestError(said if isinstance(error, msgspec.ValidationError) else f"malformed JSON: {said}")


def _literal(fields: Fields, name: str) -> bytes | None:
    return bytes(fields[name]) if name in fields else None


@cache
def _request(events_key: str, write_key_name: str) -> msgspec.json.Decoder[Any]:
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [("events", list[Raw]), ("write_key", Raw, Raw(b""))]
    names = {"events": events_key, "write_key": write_key_name}
    return msgspec.json.Decoder(msgspec.defstruct("Request", fields, rename=names, gc=False))


@cache
def _named(write_key_name: str) -> re.Pattern[bytes]:
    name = re.escape(write_key_name.encode())
    return re.compile(rb'"' + name + rb'"\s*+:\s*+(' + STRING + rb")", re.DOTALL)


@cache
def _key_alone(write_key_name: str) -> msgspec.json.Decoder[Any]:
    fields: list[tuple[str, Any, Any]] = [("write_key", Raw, Raw(b""))]
    return msgspec.json.Decoder(msgspec.defstruct("Request", fields, rename={"write_key": write_key_name}, gc=False))


@cache
def _names_alone(names: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    fields: list[tuple[str, Any, Any]] = [(f"name_{number}", Raw, Raw(b"")) for number in range(len(names))]
    wire = {field[0]: name for field, name in zip(fields, names, strict=True)}
    return msgspec.json.Decoder(msgspec.defstruct("Who", fields, rename=wire, gc=False))


def _device(events: Sequence[bytes | Raw], first: Fields, names: tuple[str, ...]) -> str | None:
    found = _identifier(first.get(name) for name in names)
    if found is None and len(events) > 1:
        found = next(filter(None, (_device_of(event, names) for event in events[1:])), None)
    return found


def _device_of(event: bytes | Raw, names: tuple[str, ...]) -> str | None:
    try:
        return _identifier(msgspec.structs.astuple(_names_alone(names).decode(event)))
    except UNREADABLE:
        return None


def _identifier(values: Iterable[Raw | None]) -> str | None:
    """Return the first that the drain takes for an id, too."""
    for raw in values:
        try:
            if raw is not None and bytes(raw) and (text := kinds.identifier(raw)):
                return text[:_DEVICE_CHARACTERS]
        except (ValueError, *UNREADABLE):
            continue
    return None


def _text_of(literal: bytes) -> str | None:
    try:
        return _text.decode(literal)
    except UNREADABLE:
        return None
