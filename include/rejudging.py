"""Failed rows back into events: rebuilt as their requests had them, and judged by today's code and suite."""

from __future__ import annotations

import gzip
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple
from zlib import error as ZlibError  # noqa: N812 - an exception

import msgspec
import numpy as np
import pyarrow as pa

from include.contract import edge
from include.contract.compression import GZIP_MAGIC
from include.contract.dialects import reader
from include.contract.extra import UNREADABLE, Fields
from include.failures import WHOLE_ENVELOPE, Kept
from include.rows import EVENT_SCHEMA, Chunk, Decoded
from include.staging import judged, open_envelope
from include.topic import Record

log = logging.getLogger(__name__)


class FailedRow(NamedTuple):
    """An open row of FAILED_EVENTS, as statement `load/redrive.open` selects it."""

    place: str
    batch_id: str
    partition: int
    offset: int
    position: int
    received_at: datetime
    raw: bytes
    raw_sha256: str
    envelope: str

    @property
    def record(self) -> str:
        """Name of the Kafka record in the statements."""
        return f"{self.batch_id}/{self.partition}/{self.offset}"


@dataclass(slots=True)
class Verdict:
    """What some failed rows are today: valid events, failed rows, and what became of each row that was looked at."""

    valid: list[pa.Table] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    opened: list[FailedRow] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def events(self) -> pa.Table:
        """Return the valid events as rows of EVENT_SCHEMA, at the place in Kafka that they came from."""
        return pa.concat_tables(self.valid) if self.valid else EVENT_SCHEMA.empty_table()


def judge(rows: Sequence[FailedRow], known_sources: Sequence[str]) -> Verdict:
    """Judge failed rows again; a row that cannot be rebuilt or read is counted, never an exception."""
    verdict = Verdict()
    rebuilt: list[tuple[FailedRow, Decoded]] = []
    for row in rows:
        try:
            record = rebuild(row)
        except ValueError as error:
            log.warning("failed event at %s cannot be judged again: %s", row.place, error)
            verdict.counts["damaged"] += 1
            continue
        try:
            rebuilt.append((row, open_envelope(record)))
        except (ValueError, msgspec.DecodeError, RecursionError):
            verdict.counts["still_failed"] += 1
    if rebuilt:
        _judge(rebuilt, known_sources, verdict)
    return verdict


def rebuild(row: FailedRow) -> Record:
    """Return the Kafka record of a failed row: the whole one, or its request with this event alone.

    Raises:
        ValueError: the row does not hold what is needed, with the reason.

    """
    try:
        kept = msgspec.json.decode(row.envelope, type=Kept)
    except UNREADABLE as error:
        raise ValueError(f"its ENVELOPE is not what was written: {error}") from error
    raw, texts = _client_bytes(row), kept.headers
    if row.position != WHOLE_ENVELOPE:
        if kept.around is None:
            raise ValueError("what its request has beside the events was too long to be kept")
        raw, texts = _request(raw, texts, kept.around)
    headers: list[tuple[str, bytes | None]] = [
        *((name, text.encode()) for name, text in texts.items()),
        *kept.binary.items(),
    ]
    return Record(row.offset, int(row.received_at.replace(tzinfo=UTC).timestamp() * 1000), headers, raw)


def _request(event: bytes, texts: dict[str, str], around: Fields) -> tuple[bytes, dict[str, str]]:
    dialect = texts.get("dialect", "")
    body = reader(dialect, texts.get("call", "")).request(around, event)
    texts = texts | {"content_encoding": "identity", "event_count": "1"}
    # The edge's verdict is judged again too: only the own dialect has one, and its check may be what was wrong.
    with suppress(edge.NotARequestError):  # which is said again when the envelope is opened
        if dialect == "v1" and (rejected := edge.check(body).rejected):
            texts["rejected"] = msgspec.json.encode(rejected).decode()
    return body, texts


def _client_bytes(row: FailedRow) -> bytes:
    """Undo what `failures` does to very long bytes, and prove them."""
    raw = row.raw
    try:
        if sha256(raw).hexdigest() != row.raw_sha256 and raw.startswith(GZIP_MAGIC):
            raw = gzip.decompress(raw)
    except (OSError, EOFError, ZlibError) as error:
        raise ValueError(f"its RAW cannot be decompressed: {error}") from error
    if sha256(raw).hexdigest() != row.raw_sha256:
        raise ValueError("its RAW does not have the checksum RAW_SHA256")
    return raw


def _judge(rebuilt: list[tuple[FailedRow, Decoded]], known_sources: Sequence[str], verdict: Verdict) -> None:
    # Each envelope's number here takes the place of its offset, which leads back to the row.
    envelopes = [replace(decoded, offset=number) for number, (_, decoded) in enumerate(rebuilt)]
    rows = [row for row, _ in rebuilt]
    try:
        failed, valid, _ = judged(Chunk(0, "", envelopes), known_sources)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        # As when staging: whatever nobody thought of costs one row, not everybody's.
        if len(rebuilt) > 1:
            middle = len(rebuilt) // 2
            _judge(rebuilt[:middle], known_sources, verdict)
            _judge(rebuilt[middle:], known_sources, verdict)
            return
        log.exception("failed event at %s", rows[0].place)
        verdict.counts["still_failed"] += 1
        return
    verdict.opened += [row for row in rows if row.position == WHOLE_ENVELOPE]
    verdict.valid.append(_placed(valid, rows))
    for one in failed:
        row = rows[one["kafka_offset"]]
        if row.position == WHOLE_ENVELOPE:
            place = {"kafka_partition": row.partition, "kafka_offset": row.offset, "batch_id": row.batch_id}
            verdict.failed.append(one | place)
        else:
            verdict.counts["still_failed"] += 1


def _placed(valid: pa.Table, rows: Sequence[FailedRow]) -> pa.Table:
    """Give events the lineage of the rows that they come from."""
    owners = valid["kafka_offset"].to_numpy()
    indexes = np.array([row.position for row in rows], dtype=np.int32)[owners]
    batches = pa.array([row.batch_id for row in rows], pa.string()).dictionary_encode()
    columns = {
        "kafka_partition": pa.array(np.array([row.partition for row in rows], dtype=np.int32)[owners]),
        "kafka_offset": pa.array(np.array([row.offset for row in rows], dtype=np.int64)[owners]),
        "envelope_index": pa.array(np.where(indexes == WHOLE_ENVELOPE, valid["envelope_index"].to_numpy(), indexes)),
        "batch_id": batches.take(pa.array(owners)),
    }
    for name, column in columns.items():
        valid = valid.set_column(EVENT_SCHEMA.get_field_index(name), EVENT_SCHEMA.field(name), column)
    return valid
