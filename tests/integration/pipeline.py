"""The pipeline's own functions on real parts, with a topic of their own and envelopes as the API sends them."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import snowflake.connector
from azure.storage.blob import BlobServiceClient, ContainerClient
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from include import loading, redriving, sealing, staging, twins
from include.contract import edge
from include.contract.dialects import reader
from include.contract.envelope import Envelope
from include.lake import Lake
from include.migrate import MigrationSettings, migrate
from include.settings import PipelineSettings
from include.warehouse import Warehouse

SOURCES = ("phone-app", "web-app", "car-app")
TABLES = (
    "CORE.EVENTS", "CORE.FAILED_EVENTS", "CONTROL.LOADS", "PUBLISH.OUTBOX", "PUBLISH.PUBLICATIONS",
    "PUBLISH.DELIVERIES", "PUBLISH.AMPLITUDE_OUTBOX", "PUBLISH.PSEUDONYMS", "PUBLISH.WATERMARKS",
    "CONTROL.ACCEPTED_GAPS",
)  # fmt: skip
Interval = tuple[datetime, datetime]


@dataclass
class Pipeline:
    """One topic, container and database, and the steps that a DAG run would take on them."""

    kafka: dict[str, Any]
    container: ContainerClient
    connect: Mapping[str, Any]
    settings: PipelineSettings
    azure: str
    lake: Lake = field(init=False)
    known: Sequence[str] = SOURCES

    def __post_init__(self) -> None:
        self.lake = Lake(self.container, self.settings.kafka_topic)

    @property
    def topic(self) -> str:
        return self.settings.kafka_topic

    def with_settings(self, **changes: Any) -> Pipeline:
        """Return the same pipeline under other settings."""
        changed = msgspec.structs.replace(self.settings, **changes)
        return Pipeline(self.kafka, self.container, self.connect, changed, self.azure)

    def produce(self, *requests: Request) -> None:
        """Send requests as envelopes, acknowledged one after the other."""
        producer = Producer({**self.kafka, "enable.idempotence": True, "linger.ms": 5})
        lost: list[Any] = []
        for request in requests:
            producer.produce(
                self.topic, request.value, key="device", headers=request.headers, partition=request.partition,
                on_delivery=lambda error, _: lost.append(error) if error else None,
            )  # fmt: skip
        assert producer.flush(30) == 0
        assert lost == []

    def now(self) -> Interval:
        """Return an interval that ends behind everything that was acknowledged so far."""
        end = datetime.now(UTC) + timedelta(milliseconds=60)
        return end - timedelta(seconds=1), end

    def plan(self, interval: Interval | None = None) -> list[dict[str, Any]]:
        return staging.plan_work(self.lake, self.kafka, self.settings, interval or self.now())

    def drain(self, work: Sequence[Mapping[str, Any]]) -> int:
        return sum(
            staging.drain_partitions(self.lake, self.kafka, self.settings, self.known, **piece) for piece in work
        )

    def seal(self, work: Sequence[Mapping[str, Any]]) -> list[str]:
        return sealing.seal_plans(self.lake, [piece["sequence"] for piece in work])

    def stage(self, interval: Interval | None = None) -> list[dict[str, Any]]:
        """Plan, drain and seal; returns the drained work."""
        work = self.plan(interval)
        self.drain(work)
        self.seal(work)
        return work

    def load(self) -> dict[str, int]:
        with self.warehouse() as warehouse:
            return loading.load_sealed(self.lake, warehouse, self.settings)

    def redrive(self) -> dict[str, int]:
        """Judge the failed events of every plan again."""
        with self.warehouse() as warehouse:
            return redriving.redrive(self.lake, warehouse, self.settings, self.known, self.plan_ids())

    def close_twins(self) -> dict[str, int]:
        with self.warehouse() as warehouse:
            return twins.close_twins(warehouse, self.plan_ids())

    def plan_ids(self) -> list[str]:
        return [str(row[0]) for row in self.rows("SELECT BATCH_ID FROM CONTROL.LOADS ORDER BY SEQUENCE")]

    @contextmanager
    def warehouse(self, **options: Any) -> Iterator[Warehouse]:
        with closing(snowflake.connector.connect(**{**self.connect, **options})) as connection:
            yield Warehouse(connection)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse() as warehouse:
            return warehouse.run(sql)

    def event_ids(self) -> list[str]:
        return [str(row[0]) for row in self.rows("SELECT EVENT_ID FROM CORE.EVENTS ORDER BY 1")]

    def failed(self, *columns: str) -> list[tuple[Any, ...]]:
        wanted = ", ".join(columns)
        return self.rows(f"SELECT {wanted} FROM CORE.FAILED_EVENTS ORDER BY KAFKA_OFFSET, ENVELOPE_INDEX")  # noqa: S608

    def blobs(self, prefix: str = "") -> dict[str, str]:
        """Return the ETag of every blob of this topic by name."""
        found = self.container.list_blobs(prefix)
        return {blob.name: blob.etag for blob in found if blob.etag and self.topic in blob.name}

    def tables(self) -> dict[str, list[str]]:
        """Return every row of every table that a rerun must leave alone."""
        with self.warehouse() as warehouse:
            return {table: sorted(map(repr, warehouse.run(f"SELECT * FROM {table}"))) for table in TABLES}  # noqa: S608

    def everything(self) -> tuple[dict[str, str], dict[str, list[str]]]:
        return self.blobs(), self.tables()

    def empty(self) -> None:
        """Take every row out of the database, so that the next test finds it as migrated."""
        with self.warehouse() as warehouse:
            for table in TABLES:
                if table != "PUBLISH.WATERMARKS":
                    warehouse.run(f"DELETE FROM {table}")  # noqa: S608


@dataclass
class Request:
    """A Kafka record; `value` and `headers` may be anything."""

    value: bytes
    headers: list[tuple[str, str | bytes | None]]
    partition: int = 0


def request(
    *events: Any, source_id: str = "phone-app", partition: int = 0, received_at: datetime | None = None,
    compress: bool = True, **around: Any,
) -> Request:  # fmt: skip
    """Return the envelope of a request of dialect v1, checked by the edge as the API does."""
    received = received_at or datetime.now(UTC)
    pieces = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    head = json.dumps({"sent_at": received.isoformat(), **around}).encode()
    body = head[:-1] + b', "events": [' + b", ".join(pieces) + b"]}"
    return enveloped(body, source_id, partition, received, compress=compress)


def foreign(dialect: str, call: str, body: Any, source_id: str = "phone-app", **known: Any) -> Request:
    """Return the envelope that the API would make of a vendor's request; `body` is JSON, or the client's bytes."""
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    envelope = Envelope(
        request_id=uuid.uuid4().hex, source_id=source_id, dialect=dialect, call=call, received_at=datetime.now(UTC),
        content_encoding="gzip", event_count=len(reader(dialect, call).split(value)), value=gzip.compress(value, 1),
        **known,
    )  # fmt: skip
    return Request(envelope.value, envelope.headers())


def enveloped(
    body: bytes, source_id: str = "phone-app", partition: int = 0, received_at: datetime | None = None,
    *, compress: bool = True,
) -> Request:  # fmt: skip
    """Return the envelope that the API would make of an inflated body."""
    checked = edge.check(body)
    envelope = Envelope(
        request_id=uuid.uuid4().hex, source_id=source_id, dialect="v1", received_at=received_at or datetime.now(UTC),
        content_encoding="gzip" if compress else "identity", event_count=checked.event_count,
        value=gzip.compress(body, 1) if compress else body, rejected=checked.rejected,
    )  # fmt: skip
    return Request(envelope.value, envelope.headers(), partition)


def event(event_id: str | None, **changes: Any) -> dict[str, Any]:
    """Return a good event; None takes a field away."""
    made: dict[str, Any] = {
        "event_id": event_id, "event_name": "screen_viewed", "user_id": "user-1", "device_id": "device-1",
        "occurred_at": datetime.now(UTC).isoformat(), "platform": "ios", "app_version": "4.1.0",
        "consent": {"analytics": True}, "event_properties": {"screen": "home"}, **changes,
    }  # fmt: skip
    return {name: value for name, value in made.items() if value is not None}


@contextmanager
def pipeline(
    kafka: Mapping[str, str], azure: Mapping[str, str], warehouse: Mapping[str, str], topic: str, **settings: Any
) -> Iterator[Pipeline]:
    """Make a pipeline with a database and a container of its own."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    database = name.replace("-", "_").upper()
    connect = json.loads(warehouse["LOCAL_AMPLITUDE_SNOWFLAKE"])
    known = {key: value for key, value in connect.items() if key not in {"database", "schema"}}
    known |= {"login_timeout": 20, "network_timeout": 60}
    # A failed call of a test must not wait for the retries that production wants.
    quick: dict[str, Any] = {
        "retry_total": 1,
        "retry_connect": 1,
        "retry_read": 1,
        "initial_backoff": 0.1,
        "increment_base": 0.1,
    }
    with BlobServiceClient.from_connection_string(azure["LOCAL_AZURE_CONNECTION_STRING"], **quick) as service:
        container = service.create_container(name)
        with closing(snowflake.connector.connect(**known)) as connection:
            url = f"azure://devstoreaccount1.blob.core.windows.net/{name}/"
            migrate(Warehouse(connection), MigrationSettings(lake_url=url, database=database))
        yield Pipeline(
            {"bootstrap.servers": kafka["INGEST_KAFKA_BOOTSTRAP_SERVERS"], "log_level": 0},
            container, {**known, "database": database, "schema": "CORE"},
            PipelineSettings(
                sources_file="unused", pseudonym_key="6b" * 32, kafka_topic=topic, plan_grace_seconds=0.0,
                lake_container=name, **settings,
            ),
            azure["LOCAL_AZURE_CONNECTION_STRING"],
        )  # fmt: skip


def create_topic(bootstrap_servers: str, partitions: int = 4, **config: str) -> str:
    """Create a topic of its own; returns its name."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    wanted = {"message.timestamp.type": "LogAppendTime", "compression.type": "producer", **config}
    admin.create_topics([NewTopic(name, partitions, 1, config=wanted)])[name].result(timeout=10)
    return name


def injected(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, after: int = 0) -> None:
    """Make the call number `after` of a function end as a killed process would: nothing behind it happens."""
    original, calls = getattr(where, name), iter(range(10_000))

    def killed(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == after:
            raise KilledError(name)
        return original(*args, **kwargs)

    monkeypatch.setattr(where, name, killed)


class KilledError(BaseException):
    """Stands for SIGKILL: no handler for ordinary exceptions sees it."""
