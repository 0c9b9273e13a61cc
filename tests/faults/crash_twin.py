"""Compares what a crash audit left with a twin that nothing happened to: every blob, every row, every vendor event."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import requests
import snowflake.connector
from azure.storage.blob import ContainerClient

from tests.faults.crash_world import Scene

_ATTEMPT = re.compile(r"-[0-9A-F]{8}$")
_AT_ONCE = 100


def _is_set(value: Any) -> bool:
    return value is not None


def _without_attempt(load_id: str) -> str:
    return _ATTEMPT.sub("", load_id)


_LOADED: dict[str, Callable[[Any], Any]] = {"LOADED_AT": _is_set}
TABLES: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "CORE.EVENTS": _LOADED,
    "CORE.FAILED_EVENTS": _LOADED,
    "CONTROL.LOADS": {**_LOADED, "LOAD_ID": _without_attempt},
    "CONTROL.RECONCILIATION": {"CHECKED_AT": _is_set},
    "PUBLISH.OUTBOX": {**_LOADED, "LOAD_ID": _without_attempt},
    "PUBLISH.PUBLICATIONS": {"PUBLISHED_AT": _is_set, "LOAD_ID": _without_attempt},
    "PUBLISH.DELIVERIES": {"OFFERED_AT": _is_set, "TAKEN_AT": _is_set, "CONFIRMED_AT": _is_set},
    "PUBLISH.PSEUDONYMS": {},
    "PUBLISH.AMPLITUDE_OUTBOX": {"PUBLISHED_AT": _is_set},
}
"""Tables, and the columns that must differ: of a time only whether it is set, of a load's id not its attempt."""


@dataclass(frozen=True)
class Compared:
    """One table or store of both."""

    name: str
    audited: Counter[str]
    twin: Counter[str]

    def problems(self) -> Iterator[str]:
        """Yield a line for either side that has what the other has not."""
        for side, mine, other in (("audited", self.audited, self.twin), ("twin", self.twin, self.audited)):
            if surplus := mine - other:
                yield f"{self.name}: {surplus.total()} only in the {side} run, such as {next(iter(surplus))[:400]}"


def compare(audited: Scene, twin: Scene) -> list[Compared]:
    """Read both and compare."""
    ours, theirs = _everything(audited), _everything(twin)
    return [Compared(name, ours[name], theirs[name]) for name in ours]


def _everything(scene: Scene) -> dict[str, Counter[str]]:
    found = _tables(scene.pipe.connect)
    found["the lake, byte by byte"] = _blobs(scene.pipe.container)
    found["the vendor's events"] = _vendor(scene.vendor_url)
    return found


def _tables(connect: Mapping[str, Any]) -> dict[str, Counter[str]]:
    found = {}
    with closing(snowflake.connector.connect(**connect)) as connection, closing(connection.cursor()) as cursor:
        for table, masks in TABLES.items():
            rows = cursor.execute(f"SELECT * FROM {table}").fetchall()  # type: ignore[union-attr]  # noqa: S608
            names = [column.name for column in cursor.description]
            found[table] = Counter(
                repr({name: masks.get(name, lambda kept: kept)(value) for name, value in zip(names, row, strict=True)})
                for row in rows
            )
    return found


def _blobs(container: ContainerClient) -> Counter[str]:
    # What a killed run left below landing/ is swept a day later.
    names = [name for name in container.list_blob_names() if not name.startswith("landing/")]
    return Counter(f"{name}: {container.download_blob(name).readall()!r}" for name in names)


def _vendor(url: str) -> Counter[str]:
    """Return the vendor's events without the moments at which it got them."""
    ids = requests.get(f"{url}/_standin/insert_ids", timeout=60).text.split()
    found: Counter[str] = Counter()
    for start in range(0, len(ids), _AT_ONCE):
        wanted = {"insert_id": sorted(set(ids[start : start + _AT_ONCE]))}
        answer = requests.get(f"{url}/_standin/events", params=wanted, timeout=60)
        answer.raise_for_status()
        found.update(repr((one["via"], sorted(one["event"].items()))) for one in answer.json())
    return found
