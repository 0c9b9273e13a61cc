"""One source as the sources file has it, and what may be wrong with an entry; for the registry and its commands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

PLATFORMS = ("ios", "android", "web", "car", "server")
"""The same that an event's `platform` may be."""

_FINGERPRINT_DIGITS = 8

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}\Z")]
KeyHash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Platform = Annotated[str, msgspec.Meta(pattern=rf"^({'|'.join(PLATFORMS)})?\Z")]
Limit = Annotated[int, msgspec.Meta(ge=0)] | None
Entry = bytes | msgspec.Raw
UNREADABLE = (ValueError, RecursionError)
"""What msgspec raises for JSON that is malformed, of the wrong type, not UTF-8, or too deep."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much a source may send; None and 0 mean no limit."""

    events_per_second: Limit = None
    device_events_per_second: Limit = None


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client application; two write keys, the older first, may be valid at once, so that a key can be rotated."""

    id: Identifier
    name: str
    write_key_sha256: Annotated[tuple[KeyHash, ...], msgspec.Meta(min_length=1, max_length=2)]
    platform: Platform = ""
    """Empty: unknown, or several."""
    enabled: bool = True
    limits: Limits = Limits()


def hash_key(key: str) -> str:
    """SHA-256 of a write key as lower-case hex; keys are long random strings, so no salt or stretching is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def fingerprint(key_hash: str) -> str:
    """Return the part of a key's hash that people compare; it helps nobody to the key."""
    return key_hash[:_FINGERPRINT_DIGITS]


def judge(entries: Iterable[Entry]) -> list[Source | str]:
    """Return for each entry its source, or the sentence that says why it is left out."""
    known: set[str] = set()
    verdicts: list[Source | str] = []
    for index, entry in enumerate(entries):
        try:
            source = _read(entry)
            if source.id in known:
                raise ValueError(f"id {source.id} is used by an earlier entry")
        except ValueError as error:
            verdicts.append(f"source entry {index} is left out: {error}")
            continue
        known.add(source.id)
        verdicts.append(source)
    return verdicts


def owners(sources: Iterable[Source]) -> dict[str, list[Source]]:
    """Return the sources of each write key's hash; where there are several, nobody knows whose events come with it."""
    found: dict[str, list[Source]] = {}
    for source in sources:
        for key_hash in dict.fromkeys(source.write_key_sha256):
            found.setdefault(key_hash, []).append(source)
    return found


def _read(entry: Entry) -> Source:
    try:
        return msgspec.json.decode(entry, type=Source)
    except UNREADABLE as error:
        raise ValueError("; ".join(_wrong_fields(entry)) or str(error)) from error


def _wrong_fields(entry: Entry) -> Iterator[str]:
    """Say what is wrong with each field, where msgspec stops at the first."""
    try:
        given = msgspec.json.decode(entry, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return
    fields = {field.name: field for field in msgspec.structs.fields(Source)}
    yield from (f"unknown field `{name}`" for name in given if name not in fields)
    for name, field in fields.items():
        if name not in given:
            if field.required:
                yield f"missing required field `{name}`"
            continue
        try:
            msgspec.json.decode(given[name], type=field.type)
        except UNREADABLE as error:
            yield f"`{name}`: {error}"
