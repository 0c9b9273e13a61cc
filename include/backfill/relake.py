"""Derive a range again from the lake's own files, where Kafka no longer has the client's bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

import msgspec
import pyarrow as pa

from include.contract.envelope import Envelope
from include.errors import TerminalError
from include.facts import facts
from include.failures import FAILED_SCHEMA, envelope_text, rows_of
from include.lake import Lake, part_name
from include.manifest import Part, StagedFile
from include.plans import PartitionRange, Plan
from include.rows import EVENT_SCHEMA
from include.staging import Stage, judge, mask
from include.upgrades import upgrade

_BESIDE = (
    "kafka_partition",
    "kafka_offset",
    "envelope_index",
    "batch_id",
    "corrected_at",
    "occurred_on",
    "received_at",
    "source_id",
    "sent_at",
)
"""Columns that are not of the client's event."""


def derive(lake: Lake, old: Plan, new: Plan, part_range: PartitionRange, known_sources: Sequence[str]) -> Part:
    """Write the range's files under the new plan's contract version from those of the old one.

    Failed events are taken over as they are: `redrive` judges them again.

    Raises:
        TerminalError: the old files are not described in the lake.
        SetupError: a step between the contract versions is missing.

    """
    before = lake.get(part_name(old, part_range), Part)
    if before is None:
        raise TerminalError(f"{part_name(old, part_range)} is gone, so nothing says what {old.plan_id} consists of")
    part = Part(
        part_range.partition, part_range.start, part_range.end, envelopes=before.envelopes, announced=before.announced,
        unopened=before.unopened, missing=before.missing, accepted=before.accepted,
    )  # fmt: skip
    stage = Stage(lake, new, part_range, part, known_sources)
    for table in _tables(lake, before.files, "failed"):
        stage.failed.write(_shaped(table, FAILED_SCHEMA))
    for table in _tables(lake, before.files, "events"):
        _judge(stage, _shaped(upgrade(table, old.contract_version, new.contract_version), EVENT_SCHEMA))
    return stage.close()


def _tables(lake: Lake, files: Sequence[StagedFile], kind: str) -> Iterator[pa.Table]:
    for file in files:
        if file.kind == kind:
            yield from lake.row_groups(file)


def _judge(stage: Stage, table: pa.Table) -> None:
    known = facts(table, _repeated("ok", table), _repeated("accepted", table))
    verdict = judge(known, stage.known_sources)
    rows = sorted(verdict.failed)
    raws, envelopes = _as_sent(table, rows)
    bad = rows_of(table, verdict.failed, raws, envelopes)
    stage.take(bad, table.filter(mask(len(table), verdict.failed)), verdict.tallies)


def _repeated(word: str, table: pa.Table) -> pa.Array:
    return pa.array([word] * len(table), pa.string())


def _shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a table read from a file the columns and types of a schema; a column that it lacks is empty."""
    columns = [
        _cast(table[field.name].combine_chunks(), field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _cast(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(wanted):
        return column.cast(wanted.value_type).dictionary_encode()
    return column.cast(wanted)


def _as_sent(table: pa.Table, rows: Sequence[int]) -> tuple[dict[int, bytes], dict[int, str]]:
    """Return rows as requests of our own dialect with one event each, because the bytes as sent are gone."""
    raws, envelopes = {}, {}
    for row, values in zip(rows, table.take(pa.array(rows, pa.int64())).to_pylist(), strict=True):
        envelopes[row] = _envelope(values)
        raws[row] = msgspec.json.encode(_event({name: one for name, one in values.items() if name not in _BESIDE}))
    return raws, envelopes


def _envelope(values: dict[str, Any]) -> str:
    received_at = values["received_at"].replace(tzinfo=UTC)
    envelope = Envelope(
        request_id="", source_id=values["source_id"], dialect="v1", received_at=received_at,
        content_encoding="identity", event_count=1, value=b"",
    )  # fmt: skip
    headers = [(name, value.encode() if isinstance(value, str) else value) for name, value in envelope.headers()]
    sent_at = values["sent_at"]
    around = {} if sent_at is None else {"sent_at": msgspec.Raw(msgspec.json.encode(sent_at.replace(tzinfo=UTC)))}
    return envelope_text(headers, around)


def _event(values: dict[str, Any]) -> dict[str, Any]:
    extra = msgspec.json.decode(values.pop("extra") or "{}", type=dict[str, msgspec.Raw])
    for name in ("consent", "event_properties", "user_properties"):
        values[name] = msgspec.Raw(values[name].encode()) if values[name] else None
    if values["occurred_at"] is not None:
        values["occurred_at"] = values["occurred_at"].replace(tzinfo=UTC)
    return {**{name: value for name, value in values.items() if value is not None}, **extra}
