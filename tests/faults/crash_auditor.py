"""The auditor of the crash audit: ids from the clients to the vendor, hop by hop, read without the pipeline's code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import snowflake.connector
from azure.storage.blob import ContainerClient
from confluent_kafka import Consumer, TopicPartition

from local.reader import EventKey, kafka_ids, lake_ids, vendor_ids
from tests.faults.crash_workload import Ledger

GROUP = "stage_events"
_SHOWN = 5
_QUERIES = {
    "events": "SELECT SOURCE_ID, EVENT_ID FROM CORE.EVENTS",
    "failed": "SELECT SOURCE_ID, EVENT_ID FROM CORE.FAILED_EVENTS",
    "outbox": "SELECT SOURCE_ID, EVENT_ID FROM PUBLISH.OUTBOX",
    "view": 'SELECT "insert_id" FROM PUBLISH.AMPLITUDE_EVENTS',
    "taken": "SELECT INSERT_ID FROM PUBLISH.DELIVERIES WHERE TAKEN_AT IS NOT NULL AND REFUSED_AT IS NULL",
    "loads": "SELECT SEQUENCE FROM CONTROL.LOADS",
    "publications": "SELECT LOAD_ID FROM PUBLISH.PUBLICATIONS",
    "loaded": "SELECT DISTINCT LOAD_ID FROM CONTROL.LOADS",
}


@dataclass
class Seen:
    """What is at every hop, and how often."""

    kafka: Counter[EventKey]
    lake: Mapping[str, Counter[EventKey]]
    plans: Counter[int]
    manifests: Counter[int]
    warehouse: Mapping[str, Counter[Any]]
    vendor: Counter[str]
    ends: Mapping[int, int]
    committed: Mapping[int, int]


@dataclass(frozen=True)
class Hop:
    """What must be there after a hop, and what is."""

    name: str
    expected: Counter[Any]
    found: Counter[Any]

    @property
    def missing(self) -> Counter[Any]:
        """What is there less often than it must be."""
        return self.expected - self.found

    @property
    def twice(self) -> Counter[Any]:
        """What is there more often than it must be."""
        return Counter({key: count for key, count in (self.found - self.expected).items() if key in self.expected})

    @property
    def foreign(self) -> Counter[Any]:
        """What is there and should not be at all."""
        return Counter({key: count for key, count in self.found.items() if key not in self.expected})

    def problems(self) -> Iterator[str]:
        """Yield a line for everything that is wrong, with a few ids."""
        for what in ("missing", "twice", "foreign"):
            wrong: Counter[Hashable] = getattr(self, what)
            if wrong:
                shown = ", ".join(str(key) for key in list(wrong)[:_SHOWN])
                yield f"{self.name}: {wrong.total()} {what} ({shown})"


def judge(ledger: Ledger, seen: Seen) -> list[Hop]:
    """Compare what the clients were told with what is at every hop."""
    valid, failed = Counter(ledger.valid), Counter(ledger.failed)
    shown = Counter(f"{source}:{event}" for source, event in ledger.consented)
    chain, warehouse = Counter(range(1, seen.plans.total() + 1)), seen.warehouse
    return [
        Hop("clients to Kafka, repetitions counted", ledger.sent, seen.kafka),
        Hop("Kafka to the sealed files, repetitions counted", seen.kafka, seen.lake["events"] + seen.lake["failed"]),
        Hop("clients to EVENTS", valid, warehouse["events"]),
        Hop("clients to FAILED_EVENTS", failed, warehouse["failed"]),
        Hop("EVENTS to OUTBOX", valid, warehouse["outbox"]),
        Hop("consented events to the vendor's view", shown, warehouse["view"]),
        Hop("consented events to the vendor", shown, seen.vendor),
        Hop("what the vendor took to DELIVERIES", shown, warehouse["taken"]),
        Hop("numbers without a hole to the plans", chain, seen.plans),
        Hop("plans to the manifests", seen.plans, seen.manifests),
        Hop("plans to LOADS", seen.plans, warehouse["loads"]),
        Hop("loads to PUBLICATIONS", warehouse["loaded"], warehouse["publications"]),
        Hop("ends of the topic to the group's offsets", Counter(seen.ends), Counter(seen.committed)),
    ]


def look(servers: str, topic: str, container: ContainerClient, connect: Mapping[str, Any], vendor_url: str) -> Seen:
    """Read every hop."""
    ends = kafka_ids.ends(servers, topic)
    return Seen(
        kafka=kafka_ids.read(servers, topic, {}, ends),
        lake=lake_ids.read(container, topic, {}),
        plans=_numbers(container, f"plans/{topic}/"),
        manifests=_numbers(container, f"manifests/{topic}/"),
        warehouse=_warehouse(connect),
        vendor=vendor_ids.read(vendor_url),
        ends=ends,
        committed=_committed(servers, topic, ends),
    )


def _numbers(container: ContainerClient, folder: str) -> Counter[int]:
    names = container.list_blob_names(name_starts_with=folder)
    return Counter(int(name.rpartition("/")[2].removesuffix(".json")) for name in names)


def _warehouse(connect: Mapping[str, Any]) -> dict[str, Counter[Any]]:
    found = {}
    with closing(snowflake.connector.connect(**connect)) as connection, closing(connection.cursor()) as cursor:
        for name, sql in _QUERIES.items():
            rows = cursor.execute(sql).fetchall()  # type: ignore[union-attr]
            found[name] = Counter(tuple(row) if len(row) > 1 else row[0] for row in rows)
    return found


def _committed(servers: str, topic: str, ends: Mapping[int, int]) -> dict[int, int]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": GROUP, "enable.auto.commit": False})
    try:
        found = consumer.committed([TopicPartition(topic, partition) for partition in ends], timeout=20)
        return {one.partition: max(one.offset, 0) for one in found}
    finally:
        consumer.close()
