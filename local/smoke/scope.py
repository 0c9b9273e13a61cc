"""Remembers where every hop stood before the known set was posted, and collects what the readers find behind that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local import clients
from local.reader import EventKey, kafka_ids, lake_ids, vendor_ids, warehouse_ids
from local.smoke.compare import Found

_CLOCK_SLACK = timedelta(seconds=5)


@dataclass(frozen=True)
class Scope:
    """The part of each hop in which the known set can be: everything after these positions."""

    endpoints: Mapping[str, str]
    begin: Mapping[int, int]
    since: datetime
    vendor_row: int
    vendor_duplicates: int

    @classmethod
    def now(cls, endpoints: Mapping[str, str], *, alone: bool = False) -> Scope:
        """Take the positions of a running stack; `alone` means that its tables are empty and read whole."""
        vendor = vendor_ids.stats(endpoints["LOCAL_URL_AMPLITUDE"])
        since = datetime.min.replace(tzinfo=UTC) if alone else datetime.now(UTC) - _CLOCK_SLACK
        return cls(endpoints, kafka_ends(endpoints), since, vendor["last_row"], vendor["duplicates"])

    def read(self, only: Iterable[EventKey] | None = None) -> Found:
        """Read all hops; `only` leaves out the ids of clients that post at the same time."""
        servers, topic = self.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"], self.endpoints["INGEST_KAFKA_TOPIC"]
        with clients.storage(self.endpoints) as storage:
            container = storage.get_container_client(self.endpoints["PIPELINE_LAKE_CONTAINER"])
            lake = lake_ids.read(container, topic, self.begin)
        with closing(clients.warehouse(self.endpoints)) as connection:
            events = warehouse_ids.read(connection, "events", self.since)
            failed_events = warehouse_ids.read(connection, "failed_events", self.since)
        url = self.endpoints["LOCAL_URL_AMPLITUDE"]
        found = Found(
            kafka_ids.read(servers, topic, self.begin, kafka_ends(self.endpoints)), lake["events"], lake["failed"],
            events, failed_events, vendor_ids.read(url, self.vendor_row),
            vendor_ids.stats(url)["duplicates"] - self.vendor_duplicates,
        )  # fmt: skip
        return found if only is None else found.only(only)


def kafka_ends(endpoints: Mapping[str, str]) -> dict[int, int]:
    """Return the end of every partition of the topic."""
    return kafka_ids.ends(endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"], endpoints["INGEST_KAFKA_TOPIC"])
