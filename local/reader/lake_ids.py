"""Counts the event ids in the lake's sealed files, from the manifests and the Parquet files themselves."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.parquet as pq
from azure.storage.blob import ContainerClient

from local.reader import EventKey


def read(container: ContainerClient, topic: str, begin: Mapping[int, int]) -> dict[str, Counter[EventKey]]:
    """Count the ids by kind of file, `events` and `failed`, in files whose offsets begin at `begin` or later.

    `begin` has the end of every partition before the events in question were posted.
    """
    found: dict[str, Counter[EventKey]] = {"events": Counter(), "failed": Counter()}
    for manifest in _manifests(container, topic):
        starts = {part["partition"]: part["start"] for part in manifest["plan"]["ranges"]}
        ends = {part["partition"]: part["end"] for part in manifest["plan"]["ranges"]}
        for file in manifest["files"]:
            partition = file["partition"]
            if starts[partition] < ends[partition] and ends[partition] > begin.get(partition, 0):
                found[file["kind"]].update(_ids(container, file["name"]))
    return found


def _manifests(container: ContainerClient, topic: str) -> Iterator[dict[str, Any]]:
    for name in container.list_blob_names(name_starts_with=f"manifests/{topic}/"):
        yield json.loads(container.download_blob(name).readall())


def _ids(container: ContainerClient, name: str) -> Iterator[EventKey]:
    table = pq.read_table(io.BytesIO(container.download_blob(name).readall()), columns=["source_id", "event_id"])
    return zip(table["source_id"].to_pylist(), table["event_id"].to_pylist(), strict=True)
