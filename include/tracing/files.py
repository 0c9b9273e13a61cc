"""What the lake knows of an event: plan, file and row, seal; and the search in files that are not loaded yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow.compute as pc
from azure.core.exceptions import AzureError, ResourceNotFoundError

from include.blobs import lake_error
from include.lake import Lake, manifest_name, plan_name
from include.manifest import Manifest, StagedFile
from include.plans import Plan
from include.tracing.model import Step, Where, utc

MAX_FILE_BYTES = 64_000_000
"""Largest file that is read for a row number."""
_PLACE = ["kafka_offset", "envelope_index"]


def steps(lake: Lake, where: Where, kind: str) -> Iterator[Step]:
    """Yield plan, file and seal of what lay at a place in Kafka."""
    if where.topic != lake.topic or where.sequence is None:
        yield Step("planned", None, f"not looked up: its batch is none of topic {lake.topic}'s plans")
        return
    plan = lake.read(where.sequence)
    if plan is None:
        yield Step("planned", None, f"the lake has no plan {where.sequence}; see docs/runbooks/lake-file-lost.md")
        return
    moment = written_at(lake, plan_name(plan.topic, plan.sequence))
    yield Step("planned", moment, f"{plan.plan_id}, interval {_interval(plan)}{_range(plan, where.partition)}")
    manifest = lake.get(manifest_name(plan), Manifest)
    if manifest is None:
        yield Step("not sealed", None, f"run the drain and seal tasks of {plan.plan_id} again, or settle_hour")
        return
    for file in manifest.files:
        if file.kind == kind and file.partition == where.partition:
            yield _staged(lake, file, where)
    yield Step("sealed", written_at(lake, manifest_name(plan)), manifest_name(plan))


def search(
    lake: Lake, sequences: Iterable[int], event_id: str, source_id: str | None
) -> Iterator[tuple[str, str, Where]]:
    """Yield kind, source and place of each copy of an event in sealed plans."""
    for sequence in sequences:
        plan = lake.read(sequence)
        manifest = lake.get(manifest_name(plan), Manifest) if plan is not None else None
        for file in manifest.files if manifest is not None else ():
            if written_at(lake, file.name) is None:
                continue
            table = lake.read_table(file.name, ["event_id", "source_id", *_PLACE])
            for row in table.filter(pc.equal(table["event_id"], event_id)).to_pylist():
                source, place = str(row["source_id"] or ""), (row["kafka_offset"], row["envelope_index"])
                if source_id in {None, source}:
                    yield file.kind, source, Where(lake.topic, file.partition, *place, sequence)


def written_at(lake: Lake, name: str) -> datetime | None:
    """Return when a blob was written; None where there is none."""
    try:
        return utc(lake.container.get_blob_client(name).get_blob_properties().last_modified)
    except ResourceNotFoundError:
        return None
    except AzureError as error:
        raise lake_error(error, f"looking at {name}") from error


def _staged(lake: Lake, file: StagedFile, where: Where) -> Step:
    moment = written_at(lake, file.name)
    if moment is None:
        return Step("staged", None, f"{file.name} IS GONE; see docs/runbooks/lake-file-lost.md")
    if file.bytes > MAX_FILE_BYTES:
        return Step("staged", moment, f"{file.name}, one of {file.rows} rows")
    table = lake.read_table(file.name, _PLACE)
    places = zip(table["kafka_offset"].to_pylist(), table["envelope_index"].to_pylist(), strict=True)
    row = next((number for number, place in enumerate(places) if place == (where.offset, where.index)), None)
    number = "the event is NOT in it" if row is None else f"row {row} of {file.rows} (from 0)"
    return Step("staged", moment, f"{file.name}, {number}")


def _interval(plan: Plan) -> str:
    return f"[{plan.interval_start:%Y-%m-%d %H:%M:%S}, {plan.interval_end:%H:%M:%S})"


def _range(plan: Plan, partition: int) -> str:
    return next((f", offsets [{one.start}, {one.end})" for one in plan.ranges if one.partition == partition), "")
