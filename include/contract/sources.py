"""The registry of sources: which write key belongs to which client application; read by the API and the validation.

File format (JSON, never a key itself, only the SHA-256 of each):
{"sources": [{"id": "shop-ios", "name": "Shop for iOS", "platform": "ios", "enabled": true,
              "write_key_sha256": ["<64 hex>", "<64 hex of the next key while rotating>"]}]}
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec

from include.errors import SetupError

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}\Z")]
KeyHash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client application; two write keys may be valid at once, so that a key can be rotated."""

    id: Identifier
    name: str
    write_key_sha256: Annotated[tuple[KeyHash, ...], msgspec.Meta(min_length=1, max_length=2)]
    platform: str = ""
    enabled: bool = True


class Registry(msgspec.Struct, frozen=True):
    """All usable sources, and one sentence for each entry that is not."""

    sources: dict[str, Source] = {}
    by_key_hash: dict[str, Source] = {}
    problems: tuple[str, ...] = ()

    def find(self, key: str) -> Source | None:
        """Return the source of a write key.

        The time does not depend on how much of a key is right: only its hash is looked up.
        """
        return self.by_key_hash.get(hash_key(key))


class _File(msgspec.Struct):
    sources: list[msgspec.Raw]


def hash_key(key: str) -> str:
    """SHA-256 of a write key as lower-case hex; keys are long random strings, so no salt or stretching is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def load(path: Path) -> Registry:
    """Read the registry; an entry that is wrong becomes a problem and leaves the others working.

    Raises SetupError when the file as a whole cannot be read.
    """
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=_File).sources
    except OSError as error:
        raise SetupError(
            f"sources file {path} cannot be read ({error.strerror}); create it, or set its path"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"sources file {path} is not a list of sources: {error}; its format is in the docs") from error
    return _collect(entries)


def _collect(entries: list[msgspec.Raw]) -> Registry:
    sources: dict[str, Source] = {}
    by_key_hash: dict[str, Source] = {}
    problems: list[str] = []
    for index, raw in enumerate(entries):
        try:
            source = msgspec.json.decode(raw, type=Source)
            _refuse_twice(source, sources, by_key_hash)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            problems.append(f"source entry {index} is left out: {error}")
            continue
        sources[source.id] = source
        by_key_hash.update(dict.fromkeys(source.write_key_sha256, source))
    return Registry(sources, by_key_hash, tuple(problems))


def _refuse_twice(source: Source, sources: dict[str, Source], by_key_hash: dict[str, Source]) -> None:
    if source.id in sources:
        raise ValueError(f"id {source.id} is used by an earlier entry")
    for key_hash in source.write_key_sha256:
        if key_hash in by_key_hash:
            raise ValueError(f"{source.id} has a write key that {by_key_hash[key_hash].id} has already")


class WatchedRegistry:
    """A registry that follows its file: it looks for a change at most once per `interval_seconds`.

    A file that became unreadable leaves the last good registry in place and adds a problem.
    """

    def __init__(self, path: Path, interval_seconds: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._interval = interval_seconds
        self._clock = clock
        self._next_look = clock()
        self._seen: tuple[int, int, int] | None = None
        self._registry: Registry | None = None
        self.problem: str | None = None

    def current(self) -> Registry | None:
        """Return the registry, or None while none could be read yet."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + self._interval
            self._look()
        return self._registry

    def problems(self) -> list[str]:
        """Say what is wrong with the file or with single entries."""
        found = [self.problem] if self.problem else []
        return found + list(self._registry.problems if self._registry else ())

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp is not None and stamp == self._seen:
            return
        try:
            self._registry = load(self._path)
            self.problem = None
        except SetupError as error:
            self.problem = str(error)
        self._seen = stamp


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    # The inode tells a file that was replaced within the clock's resolution from the one before.
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
