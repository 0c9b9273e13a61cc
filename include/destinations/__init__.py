"""Vendors at the end of the pipe: one module each, behind one small protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may reach a vendor: the consent it needs, and the keys of properties it may see.

    `nobody` are the identifiers, in lower case, by which no one is meant: behind one pseudonym all who have it would be
    one person to the vendor. Amplitude's are those that it bans itself (HTTP V2 API: minimum length of ids).
    """

    purpose: str
    nobody: list[str]
    event_properties: list[str]
    user_properties: list[str]


class Pushed(msgspec.Struct, frozen=True):
    """A vendor's answer to a push: ids it took, and ids it will never take with the reason."""

    taken: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()


class Destination(Protocol):
    """One vendor."""

    vendor: str
    contract: Contract

    def push(self, events: Sequence[Mapping[str, Any]]) -> Pushed:
        """Post events, each with its `insert_id`; raises our errors when nothing is known to be taken."""

    def exported(self, start: datetime, end: datetime) -> Iterator[str]:
        """Yield the insert ids that the vendor says it received in [start, end)."""


def contract(vendor: str) -> Contract:
    """Read the vendor's egress contract, `include/destinations/<vendor>.json`."""
    return msgspec.json.decode((Path(__file__).parent / f"{vendor}.json").read_bytes(), type=Contract)
