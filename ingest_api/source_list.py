"""Shows a sources file to people and programs, and says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from include.contract.source import fingerprint
from include.contract.sources import Limits, Registry, Source, load
from include.errors import SetupError

_HEAD = ("ID", "NAME", "PLATFORM", "ENABLED", "KEYS", "LIMITS")


def listed(path: Path, *, as_json: bool) -> tuple[str, tuple[str, ...]]:
    """Return the text that lists all usable sources, and the problems of the others; raises SetupError."""
    registry = load(path)
    return (_json(registry) if as_json else _table(registry)), registry.problems


def problems(path: Path) -> list[str]:
    """Return everything that is wrong with a file, each with where it is."""
    try:
        registry = load(path)
    except SetupError as error:
        return [str(error)]
    found = [f"{path}: {problem}" for problem in registry.problems]
    return found if registry.sources else [*found, f"{path}: no source can send"]


def limits_text(limits: Limits) -> str:
    """Say what a source may send."""
    texts = [
        f"{limits.events_per_second} events/s" if limits.events_per_second else "",
        f"{limits.device_events_per_second} events/s of a device" if limits.device_events_per_second else "",
    ]
    return ", ".join(filter(None, texts)) or "none"


def _json(registry: Registry) -> str:
    shown = [
        {
            "id": source.id,
            "name": source.name,
            "platform": source.platform,
            "enabled": source.enabled,
            "keys": _fingerprints(source),
            "limits": {name: getattr(source.limits, name) or None for name in Limits.__struct_fields__},
        }
        for source in registry.sources.values()
    ]
    return msgspec.json.format(msgspec.json.encode({"sources": shown, "problems": registry.problems})).decode()


def _table(registry: Registry) -> str:
    rows = [_HEAD, *(_row(source) for source in registry.sources.values())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(source: Source) -> tuple[str, ...]:
    keys = _fingerprints(source)
    return (
        source.id,
        # A name may come from an editor: nothing in it may steer the terminal.
        "".join(character if character.isprintable() else "?" for character in source.name),
        source.platform or "-",
        "yes" if source.enabled else "no",
        f"{len(keys)}: {' '.join(keys)}",
        limits_text(source.limits),
    )


def _fingerprints(source: Source) -> list[str]:
    return [fingerprint(key_hash) for key_hash in dict.fromkeys(source.write_key_sha256)]
