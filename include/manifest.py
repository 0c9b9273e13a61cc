"""Parts and manifests: what a drained range and a sealed plan consist of, for everything behind the lake."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from include.distinct import Tally
from include.gaps import Accepted
from include.plans import Plan

NULLS_COUNTED = ("user_id", "app_version", "consent")


class StagedFile(msgspec.Struct, frozen=True):
    """One Parquet file of a manifest; `kind` is events or failed."""

    name: str
    kind: str
    partition: int
    rows: int
    bytes: int
    sha256: str
    occurred_on: tuple[str, ...] = ()
    md5: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What a sealed plan consists of; what has no manifest does not exist."""

    plan: Plan
    files: tuple[StagedFile, ...]
    envelopes: int
    announced: int
    rows: int
    failed: int
    duplicates: int
    unopened: int = 0
    missing: int = 0
    """Offsets of the plan that Kafka had lost before they were staged, as accepted in `accepted`."""
    accepted: tuple[Accepted, ...] = ()

    def names(self, kind: str) -> list[str]:
        """Return the names of the files of one kind."""
        return [file.name for file in self.files if file.kind == kind]

    @property
    def dates(self) -> set[str]:
        """Dates of `occurred_at` in the files, as the MERGE needs them."""
        return {date for file in self.files for date in file.occurred_on}


def dates_of(manifests: Iterable[Manifest]) -> set[str]:
    """Return the dates of `occurred_at` in the files of all of them."""
    return set().union(*(manifest.dates for manifest in manifests))


class Part(msgspec.Struct):
    """What draining one range gave; written to the lake after its files, so a rerun has nothing to do."""

    partition: int
    start: int
    end: int
    files: list[StagedFile] = []
    envelopes: int = 0
    announced: int = 0
    rows: int = 0
    failed: int = 0
    duplicates: int = 0
    unopened: int = 0
    """Events announced by envelopes that could not be opened, but for the one failed row that each has."""
    missing: int = 0
    accepted: tuple[Accepted, ...] = ()
    nulls: dict[str, int] = {}
    tallies: list[Tally] = []
