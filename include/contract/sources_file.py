"""Changes the sources file, one command at a time and whole or not at all; for operators' commands and the local stack.

What a change does not concern stays byte by byte: entries that are broken or that nobody knows, and other members.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from include.contract.ordinary_file import read_ordinary
from include.contract.source import UNREADABLE, Source, judge
from include.contract.sources import parse
from include.errors import SetupError

LOCK_SECONDS = 10.0
_TICK_SECONDS = 0.02
_HINTS = {
    errno.ENOENT: "make its folder first",
    errno.EACCES: "run this as a user who may write file and folder",
    errno.EPERM: "run this as the file's owner or as root",
    errno.EROFS: "run this where the file can be written, and bring it here as you bring other configuration",
    errno.EBUSY: "it is mounted as a single file: mount its folder instead, so that it can be replaced",
    errno.ENOSPC: "free some space",
}


class Entries:
    """The entries of a sources file as they are written, to be looked at and changed."""

    def __init__(self, path: Path, data: bytes | None) -> None:
        self.path = path
        self.written = [bytes(raw) for raw in parse(data, path)] if data is not None else []
        self._members: dict[str, bytes] = {} if data is None else _members(data, path)

    def verdicts(self) -> list[Source | str]:
        """Return for each entry its source, or the sentence that says why it is left out."""
        return judge(self.written)

    def position(self, source_id: str) -> int | None:
        """Return where the entry with this id is; the one in use, where several have it."""
        named = [index for index, entry in enumerate(self.written) if _as_mapping(entry).get("id") == source_id]
        verdicts = self.verdicts()
        used = [index for index in named if isinstance(verdicts[index], Source)]
        return next(iter(used or named), None)

    def members(self, index: int) -> dict[str, Any]:
        """Return what an entry says; nothing where it is no object."""
        return _as_mapping(self.written[index])

    def change(self, index: int, **members: object) -> None:
        """Set members of an entry and leave its others; None removes one."""
        entry = {**self.members(index), **members}
        self.written[index] = _format({name: value for name, value in entry.items() if value is not None})

    def append(self, entry: Mapping[str, object]) -> None:
        """Add an entry as the last."""
        self.written.append(_format(entry))

    def data(self) -> bytes:
        """Return the file's new content."""
        listed = b"[\n    " + b",\n    ".join(self.written) + b"\n  ]" if self.written else b"[]"
        members = {**self._members, "sources": listed}
        lines = [msgspec.json.encode(name) + b": " + value for name, value in members.items()]
        return b"{\n  " + b",\n  ".join(lines) + b"\n}\n"


@contextmanager
def edit(path: Path) -> Iterator[Entries]:
    """Give the entries of a file, which need not exist yet, to be changed; they are written at the end of the block.

    Nothing is written when the block raises or changes nothing. Raises SetupError when the file is broken, when it or
    its folder cannot be written, or when another command keeps it locked.
    """
    path = Path(os.path.realpath(path))
    with _explained(path):
        lock = _create(path.with_name(f".{path.name}.lock"))
    try:
        _acquire(lock, path)
        with _explained(path):
            data = read_ordinary(path) if path.exists() else None
        entries = Entries(path, data)
        before = list(entries.written)
        yield entries
        if entries.written != before or data is None:
            with _explained(path):
                _replace(path, entries.data())
    finally:
        os.close(lock)


def _acquire(lock: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise SetupError(
                    f"another command has sources file {path} locked for {LOCK_SECONDS:.0f} s; see what it waits for"
                ) from None
            time.sleep(_TICK_SECONDS)
        else:
            return


def _replace(path: Path, data: bytes) -> None:
    """Put new content in the place of a file: after a crash at any moment there is the old or the new, whole."""
    kept = path.stat() if path.exists() else None
    temporary = path.with_name(f".{path.name}.new")
    # What a killed command left; the lock says that no other is at work.
    temporary.unlink(missing_ok=True)
    try:
        with os.fdopen(_create(temporary, os.O_EXCL), "wb") as stream:
            if kept:
                _keep_access(stream.fileno(), kept)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _create(path: Path, flags: int = 0) -> int:
    """Open a file that only its owner reads; made by root it is the folder's owner's, who runs the API as a rule."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor


def _keep_access(descriptor: int, kept: os.stat_result) -> None:
    """Give the new file owner, group and mode of the old one, or fail: the API must still read it, and nobody more."""
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (kept.st_uid, kept.st_gid):
        os.fchown(descriptor, kept.st_uid, kept.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(kept.st_mode))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "see whether it is an ordinary file on a disk that works")
        raise SetupError(f"sources file {path} cannot be changed ({error.strerror}); {hint}") from error


def _members(data: bytes, path: Path) -> dict[str, bytes]:
    # msgspec keeps only the last of two members with one name.
    try:
        text = data.decode(errors="replace")
        names = json.loads(text, object_pairs_hook=lambda pairs: [name for name, _ in pairs], parse_int=str)
    except UNREADABLE as error:
        raise SetupError(f"sources file {path} cannot be changed ({error}); correct it by hand") from error
    if len(set(names)) < len(names):
        raise SetupError(f"sources file {path} has a member twice ({', '.join(names)}); merge them first")
    return {name: bytes(raw) for name, raw in msgspec.json.decode(data, type=dict[str, msgspec.Raw]).items()}


def _as_mapping(entry: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(entry, type=dict[str, Any])
    except UNREADABLE:
        return {}


def _format(entry: Mapping[str, object]) -> bytes:
    # As the whole file is indented; no string in JSON has a line break of its own.
    return msgspec.json.format(msgspec.json.encode(entry), indent=2).replace(b"\n", b"\n    ")
