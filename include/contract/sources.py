"""The registry of sources: which write key belongs to which client application; read by the API and the validation.

File format (JSON, never a key itself, only the SHA-256 of each; `python -m ingest_api.sources` writes it):
{"sources": [{"id": "shop-ios", "name": "Shop for iOS", "platform": "ios", "enabled": true,
              "write_key_sha256": ["<64 hex>", "<64 hex of the next key while rotating>"],
              "limits": {"events_per_second": 5000, "device_events_per_second": 50}}]}
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from include.contract.ordinary_file import read_ordinary
from include.contract.source import PLATFORMS, UNREADABLE, Limits, Source, fingerprint, hash_key, judge, owners
from include.errors import SetupError

__all__ = ["PLATFORMS", "Limits", "Registry", "Source", "WatchedRegistry", "hash_key", "load", "parse"]


class Registry(msgspec.Struct, frozen=True):
    """All usable sources, and one sentence for each entry that is not."""

    sources: dict[str, Source] = {}
    by_key_hash: dict[str, Source] = {}
    problems: tuple[str, ...] = ()

    def find(self, key: str) -> Source | None:
        """Return the source of a write key; how long that takes tells nothing about any key.

        Only SHA-256 hashes are looked up, so there is no right beginning of a key to feel one's way along. Nor does
        guessing keys by the beginning of their hash help: a dict compares two strings only after their 64-bit hashes by
        a function that is keyed with a secret of the process are the same. And a hash, were it known, leads to no key,
        because keys are long and random. `hmac.compare_digest` over every source would cost more and hide no more.
        """
        return self.by_key_hash.get(hash_key(key))


class _File(msgspec.Struct):
    sources: list[msgspec.Raw]


def load(path: Path) -> Registry:
    """Read the registry; an entry that is wrong becomes a problem and leaves the others working.

    A write key that several sources have opens none of them: events must not be taken for another source's.

    Raises SetupError when the file as a whole cannot be read.
    """
    try:
        data = read_ordinary(path)
    except OSError as error:
        raise SetupError(
            f"sources file {path} cannot be read ({error.strerror}); create it, or set its path"
        ) from error
    verdicts = judge(parse(data, path))
    sources = [verdict for verdict in verdicts if isinstance(verdict, Source)]
    by_key_hash = owners(sources)
    return Registry(
        {source.id: source for source in sources},
        {key_hash: several[0] for key_hash, several in by_key_hash.items() if len(several) == 1},
        (*(verdict for verdict in verdicts if isinstance(verdict, str)), *_shared(by_key_hash)),
    )


def _shared(by_key_hash: Mapping[str, list[Source]]) -> Iterator[str]:
    for key_hash, several in by_key_hash.items():
        if len(several) > 1:
            yield (
                f"write key {fingerprint(key_hash)} opens no source, because sources "
                f"{' and '.join(source.id for source in several)} have it; remove it from all but its own"
            )


def parse(data: bytes, path: Path) -> list[msgspec.Raw]:
    """Return the entries of a file as they are written; raises SetupError when it is no list of sources."""
    try:
        return msgspec.json.decode(data, type=_File).sources
    except UNREADABLE as error:
        raise SetupError(f"sources file {path} is not a list of sources: {error}; its format is in the docs") from error


class WatchedRegistry:
    """A registry that follows its file: it looks for a change at most once per `interval_seconds`.

    A file that became unreadable leaves the last good registry in place and adds a problem. `changed` is called with
    every registry that was read.
    """

    def __init__(
        self,
        path: Path,
        interval_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[Registry], object] = lambda _: None,
    ) -> None:
        self._path = path
        self._changed = changed
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
        except SetupError as error:
            # Not seen: what keeps a file from being read, such as its mode, can change without a change of the stamp.
            self.problem, self._seen = str(error), None
        else:
            self.problem, self._seen = None, stamp
            self._changed(self._registry)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    # The inode tells a file that was replaced within the clock's resolution from the one before.
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
