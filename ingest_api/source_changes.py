"""What an operator may do to a source: each function changes the entries of a sources file or raises SetupError."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from include.contract.source import Limits, Source, fingerprint, hash_key
from include.contract.sources_file import Entries
from include.errors import SetupError

# 128 bits in the form that vendors' SDKs expect of a key, and that a double click selects whole.
_KEY_BYTES = 16


class NewSource(NamedTuple):
    """What an operator says about a source that is to be created."""

    id: str
    name: str
    platform: str
    limits: dict[str, int]


def create(entries: Entries, new: NewSource) -> str:
    """Add a source with a key of its own; returns the key, which is kept nowhere."""
    index = entries.position(new.id)
    if index is not None:
        verdict = entries.verdicts()[index]
        broken = f" ({verdict}); correct that entry" if isinstance(verdict, str) else "; for another key `rotate` it"
        raise SetupError(f"source {new.id} is in {entries.path} already{broken}")
    key = secrets.token_hex(_KEY_BYTES)
    entry = {"id": new.id, "name": new.name, "platform": new.platform, "enabled": True}
    limits = {"limits": new.limits} if new.limits else {}
    entries.append({**entry, "write_key_sha256": [hash_key(key)], **limits})
    return key


def rotate(entries: Entries, source_id: str) -> str:
    """Add a second key, the first stays valid; returns the new key, which is kept nowhere."""
    index, source = _find(entries, source_id)
    known = _keys(source)
    if len(known) > 1:
        older, newer = map(fingerprint, known)
        raise SetupError(
            f"source {source_id} has two keys ({older}, then {newer}) and can have no third; `retire` the older one "
            "when no client uses it any more"
        )
    key = secrets.token_hex(_KEY_BYTES)
    entries.change(index, write_key_sha256=[*known, hash_key(key)])
    return key


def retire(entries: Entries, source_id: str, which: str = "") -> str:
    """Drop the older of two keys, or the one with this fingerprint; returns the fingerprint."""
    index, source = _find(entries, source_id)
    known = _keys(source)
    doomed = next((key_hash for key_hash in known if fingerprint(key_hash) == which), "") if which else known[0]
    if not doomed:
        raise SetupError(f"source {source_id} has no key {which}; it has {', '.join(map(fingerprint, known))}")
    if len(known) == 1:
        raise SetupError(
            f"source {source_id} has only the key {fingerprint(doomed)}; `rotate` adds another, `disable` refuses all"
        )
    entries.change(index, write_key_sha256=[key_hash for key_hash in known if key_hash != doomed])
    return fingerprint(doomed)


def switch(entries: Entries, source_id: str, *, enabled: bool) -> bool:
    """Enable or disable a source; returns whether that changed anything."""
    index, source = _find(entries, source_id)
    if source.enabled == enabled:
        return False
    entries.change(index, enabled=enabled)
    return True


def limit(entries: Entries, source_id: str, limits: dict[str, int]) -> Limits:
    """Set the named limits and keep the others, 0 removes one; returns what holds now."""
    index, source = _find(entries, source_id)
    kept = {name: getattr(source.limits, name) for name in Limits.__struct_fields__}
    wanted = {name: value for name, value in {**kept, **limits}.items() if value}
    entries.change(index, limits=wanted or None)
    return Limits(**wanted)


def _keys(source: Source) -> list[str]:
    # A file may have the same one twice.
    return list(dict.fromkeys(source.write_key_sha256))


def _find(entries: Entries, source_id: str) -> tuple[int, Source]:
    index = entries.position(source_id)
    if index is None:
        raise SetupError(f"no source {source_id} is in {entries.path}; `list` shows them, `create` adds one")
    verdict = entries.verdicts()[index]
    if isinstance(verdict, str):
        raise SetupError(f"source {source_id} in {entries.path} cannot be changed: {verdict}; correct that entry")
    return index, verdict
