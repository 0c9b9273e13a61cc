"""The ledger of a client: what it sent and what it was told is safe, appended as it happens, for the kill audit."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from local.reader import EventKey

Word = Literal["sent", "acknowledged"]


class LedgerWriter:
    """Appends lines, each with one system call, so that threads need no lock and a reader sees whole lines."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def add(self, word: Word, source_id: str, event_ids: Iterable[str]) -> None:
        """Write `sent` before the first byte leaves, `acknowledged` after the whole answer came."""
        os.write(self._descriptor, f"{word}\t{source_id}\t{','.join(event_ids)}\n".encode())


@dataclass
class Ledger:
    """What one client sent, and what of it was acknowledged."""

    sent: set[EventKey] = field(default_factory=set)
    acknowledged: set[EventKey] = field(default_factory=set)


def read(path: Path) -> Ledger:
    """Read a ledger; raises ValueError where a line is none."""
    found = Ledger()
    with path.open() as lines:
        for number, line in enumerate(lines, 1):
            word, source_id, ids = line.rstrip("\n").split("\t")
            if word not in {"sent", "acknowledged"}:
                raise ValueError(f"{path.name}:{number}: {word!r} is neither sent nor acknowledged")
            place = found.sent if word == "sent" else found.acknowledged
            place.update((source_id, event_id) for event_id in ids.split(","))
    return found
