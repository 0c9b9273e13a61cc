"""Fakes that the unit tests own: a chain in memory, a connection that records its statements, bodies of events."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from include.blobs import ParquetFile, Suspicion
from include.contract.envelope import Envelope
from include.contract.event import parse
from include.gaps import Acceptance
from include.lake import Lake
from include.manifest import StagedFile
from include.plans import Plan
from include.rows import Chunk, Decoded
from include.settings import PipelineSettings
from include.statements import ddl
from include.topic import Record

RECEIVED_AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SETTINGS = PipelineSettings(sources_file="sources.json", pseudonym_key="00" * 32)


class ChainInMemory:
    """A plan store; `taken` makes the next `create` lose against another planner."""

    def __init__(self, plans: Sequence[Plan] = ()) -> None:
        self.plans = {plan.sequence: plan for plan in plans}
        self.reads: list[int] = []
        self.taken = False
        self.accepted: list[Acceptance] = []

    def read(self, sequence: int) -> Plan | None:
        self.reads.append(sequence)
        return self.plans.get(sequence)

    def create(self, plan: Plan) -> bool:
        if self.taken or plan.sequence in self.plans:
            return False
        assert plan.sequence == len(self.plans) + 1, "sequence numbers have no holes"
        self.plans[plan.sequence] = plan
        return True

    def acceptances(self) -> list[Acceptance]:
        return self.accepted


Answer = list[tuple[Any, ...]] | Exception | Callable[[Any], list[tuple[Any, ...]]]


class RecordingConnection:
    """A connection that records `WORD WORD WORD` of every statement and answers by the longest matching beginning."""

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers = dict(answers or {})
        self.effects: list[str] = []
        self.statements: list[tuple[str, Any]] = []

    def cursor(self) -> RecordingCursor:
        return RecordingCursor(self)

    def answer(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        text = " ".join(sql.split())
        self.statements.append((text, values))
        self.effects.append(" ".join(text.split()[:3]))
        found = max((start for start in self.answers if text.startswith(start)), key=len, default=None)
        answer = self.answers[found] if found is not None else []
        if isinstance(answer, Exception):
            raise answer
        return answer(values) if callable(answer) else answer

    def values_of(self, start: str) -> Any:
        return next(values for text, values in self.statements if text.startswith(start))


class RecordingCursor(AbstractContextManager["RecordingCursor"]):
    """What `Warehouse` uses of a cursor."""

    def __init__(self, connection: RecordingConnection) -> None:
        self._connection = connection
        self._rows: list[tuple[Any, ...]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows = []

    def execute(self, sql: str, values: Any = None) -> Self:
        self._rows = self._connection.answer(sql, values)
        return self

    def executemany(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._connection.answer(sql, list(rows))

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows


class LakeOfIds(Lake):
    """A lake whose sealed files are as `wrong` says, and that keeps the ids of short-lived files it is given."""

    def __init__(self, wrong: Mapping[str, Suspicion] | None = None) -> None:
        self.wrong = dict(wrong or {})
        self.landed: list[str] = []
        self.effects: list[str] = []

    def troubles(self, files: Sequence[StagedFile]) -> dict[str, Suspicion]:
        return self.wrong

    def parquet(self, name: str) -> ParquetFile:
        return IdsInMemory(name, self)

    def sweep(self, prefix: str, older: timedelta = timedelta(days=1)) -> None:
        self.effects.append(f"sweep {prefix}")

    def remove(self, name: str) -> None:
        self.effects.append(f"remove {name}")


class IdsInMemory(ParquetFile):
    """One of those files; the sizes of its row groups are kept."""

    def __init__(self, name: str, lake: LakeOfIds) -> None:
        self.name, self.lake, self.rows = name, lake, 0
        self.groups: list[int] = []

    def write(self, table: pa.Table) -> None:
        self.rows += len(table)
        self.groups.append(len(table))
        self.lake.landed += table["insert_id"].to_pylist()

    def close(self, kind: str, partition: int, occurred_on: tuple[str, ...] = ()) -> StagedFile | None:
        if not self.rows:
            return None
        self.lake.effects.append(f"commit {self.name} in groups of {self.groups}")
        return StagedFile(self.name, kind, partition, self.rows, 1, "")


def good_event(**changes: Any) -> dict[str, Any]:
    """Return an event that passes every gate; `None` takes a field away."""
    event: dict[str, Any] = {
        "event_id": "e-1", "event_name": "screen_viewed", "schema_version": 1, "user_id": "user-1",
        "device_id": "device-1", "session_id": "s-1", "occurred_at": "2026-11-23T09:59:50Z", "platform": "ios",
        "app_version": "4.1.0", "consent": {"analytics": True}, "event_properties": {"screen": "home"}, **changes,
    }  # fmt: skip
    return {name: value for name, value in event.items() if value is not None}


def body_of(*events: Any, **request: Any) -> bytes:
    """Return a request body of dialect v1."""
    return json.dumps({"sent_at": "2026-11-23T09:59:59Z", **request, "events": list(events)}).encode()


def chunk_of(*bodies: bytes, rejected: Mapping[int, str] | None = None, source_id: str = "phone-app") -> Chunk:
    """Return the chunk that draining these bodies gives."""
    chunk = Chunk(3, "events-0000000007")
    for offset, body in enumerate(bodies):
        parsed = parse(body)
        chunk.envelopes.append(
            Decoded(
                offset=100 + offset, source_id=source_id, received_at=RECEIVED_AT, sent_at=parsed.sent_at, body=body,
                events=parsed.events, extra=parsed.extra, problems=parsed.problems, rejected=dict(rejected or {}),
            )
        )  # fmt: skip
    return chunk


def record_of(value: bytes, offset: int = 5, **changes: Any) -> Record:
    """Return the Kafka record of an envelope."""
    count = changes.pop("event_count", 1)
    envelope = Envelope(
        request_id="r-1", source_id="phone-app", dialect="v1", received_at=RECEIVED_AT, content_encoding="identity",
        event_count=count, value=value, **changes,
    )  # fmt: skip
    headers = [(name, text.encode() if isinstance(text, str) else text) for name, text in envelope.headers()]
    return Record(offset, int(RECEIVED_AT.timestamp() * 1000), headers, value)


def columns_of(template: str) -> list[str]:
    """Return the columns of a landing template as its DDL has them, later ones included."""
    files = dict(ddl())
    shape = files["040_landing.sql"].partition(f"{template} (")[2].partition("\n)")[0]
    first = [column.split()[0].lower() for column in re.sub(r"\([^)]*\)", "", shape).split(",")]
    added = re.findall(rf"{template} ADD COLUMN IF NOT EXISTS (\w+)", "\n".join(files.values()))
    return [*first, *map(str.lower, added)]
