"""The auditor of the kill audit: ledgers against Kafka and EVENTS, with readers of its own, ids as sets.

It shares no code with the API or the pipeline: Kafka is read by `local/reader`, the warehouse by SQL of its own through
the plain connector, the ledgers as the clients wrote them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import snowflake.connector

from local.reader import EventKey, kafka_ids
from tests.faults.audit_ledger import Ledger

_ROWS_AT_ONCE = 50_000
_SHOWN = 5


@dataclass
class Topic:
    """What Kafka has: how often each id, and how many records of which kind."""

    ids: Counter[EventKey] = field(default_factory=Counter)
    records: int = 0
    spooled: int = 0
    """Records that a spool answered for."""
    twice: int = 0
    """Records whose request is there already, which the warehouse must not show."""


@dataclass
class Warehouse:
    """How often each id is in EVENTS, and what is in FAILED_EVENTS."""

    events: Counter[EventKey] = field(default_factory=Counter)
    failed: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass
class Verdict:
    """What was found; everything here must be empty."""

    lost: dict[str, set[EventKey]]
    """By client: acknowledged and not in EVENTS."""
    lost_in_kafka: dict[str, set[EventKey]]
    """By client: acknowledged and not in Kafka."""
    foreign: set[EventKey]
    """In EVENTS and sent by nobody."""
    twice: set[EventKey]
    failed: list[tuple[Any, ...]]
    not_loaded: set[EventKey]
    """In Kafka and not in EVENTS."""
    from_nowhere: set[EventKey]
    """In EVENTS and not in Kafka."""
    never_sent: dict[str, set[EventKey]]
    """By client: acknowledged and never sent; then the ledger itself is wrong."""

    def problems(self) -> list[str]:
        """Return a line for everything that is wrong, with a few ids."""
        found = [f"{client}: {_some(ids)} acknowledged and not in EVENTS" for client, ids in self.lost.items() if ids]
        found += [
            f"{client}: {_some(ids)} acknowledged and not in Kafka" for client, ids in self.lost_in_kafka.items() if ids
        ]
        found += [
            f"{client}: {_some(ids)} acknowledged and never sent" for client, ids in self.never_sent.items() if ids
        ]
        for ids, what in (
            (self.twice, "more than once in EVENTS"),
            (self.foreign, "in EVENTS and sent by nobody"),
            (self.not_loaded, "in Kafka and not in EVENTS"),
            (self.from_nowhere, "in EVENTS and not in Kafka"),
        ):
            if ids:
                found.append(f"{_some(ids)} {what}")
        if self.failed:
            found.append(f"{len(self.failed)} rows in FAILED_EVENTS, the first: {self.failed[:_SHOWN]}")
        return found


def judge(ledgers: Mapping[str, Ledger], topic: Topic, warehouse: Warehouse) -> Verdict:
    """Compare what clients were told with what is there."""
    in_events, in_kafka = warehouse.events.keys(), topic.ids.keys()
    sent: set[EventKey] = set().union(*(ledger.sent for ledger in ledgers.values()))
    return Verdict(
        lost={client: ledger.acknowledged - in_events for client, ledger in ledgers.items()},
        lost_in_kafka={client: ledger.acknowledged - in_kafka for client, ledger in ledgers.items()},
        foreign=in_events - sent,
        twice={key for key, count in warehouse.events.items() if count > 1},
        failed=warehouse.failed,
        not_loaded=in_kafka - in_events,
        from_nowhere=in_events - in_kafka,
        never_sent={client: ledger.acknowledged - ledger.sent for client, ledger in ledgers.items()},
    )


def read_topic(servers: str, topic: str) -> Topic:
    """Read the whole topic."""
    found = Topic()
    requests: Counter[bytes] = Counter()
    for message in kafka_ids.records(servers, topic, {}, kafka_ids.ends(servers, topic)):
        headers = kafka_ids.headers(message)
        found.ids.update(kafka_ids.ids(message))
        found.records += 1
        found.spooled += "spooled_at" in headers
        requests[headers["request_id"] or b""] += 1
    found.twice = found.records - len(requests)
    return found


def read_warehouse(connect: Mapping[str, Any]) -> Warehouse:
    """Read EVENTS and FAILED_EVENTS."""
    found = Warehouse()
    with closing(snowflake.connector.connect(**connect)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT SOURCE_ID, EVENT_ID FROM CORE.EVENTS")
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            found.events.update((str(source), str(event)) for source, event in rows)
        cursor.execute("SELECT SOURCE_ID, EVENT_ID, EXPECTATION, VALUE FROM CORE.FAILED_EVENTS")
        found.failed = list(cursor.fetchall())
    return found


def _some(ids: set[EventKey]) -> str:
    shown = ", ".join(f"{source} {event}" for source, event in sorted(ids)[:_SHOWN])
    return f"{len(ids):,} ids ({shown}{' …' if len(ids) > _SHOWN else ''})"
