"""Compares the ids found at every hop with those that the client posted; pure, so that every break can be tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from local.reader import EventKey


@dataclass(frozen=True, slots=True)
class Posted:
    """What the client knows about one distinct event."""

    is_valid: bool
    is_consented: bool
    acknowledged: int
    """How many requests with it were answered 200."""
    sent: int
    """How often it was sent at all, attempts without an answer included."""


@dataclass(frozen=True, slots=True)
class Found:
    """How often the readers found each id at each hop."""

    kafka: Counter[EventKey] = field(default_factory=Counter)
    lake_events: Counter[EventKey] = field(default_factory=Counter)
    lake_failed: Counter[EventKey] = field(default_factory=Counter)
    events: Counter[EventKey] = field(default_factory=Counter)
    failed_events: Counter[EventKey] = field(default_factory=Counter)
    vendor: Counter[str] = field(default_factory=Counter)
    vendor_duplicates: int = 0
    """Events that the vendor received again and dropped."""

    def only(self, keys: Iterable[EventKey]) -> Found:
        """Leave out the ids of other clients."""
        known = set(keys)
        names = {insert_id(key) for key in known}

        def of(counts: Counter[EventKey]) -> Counter[EventKey]:
            return Counter({key: count for key, count in counts.items() if key in known})

        return Found(
            of(self.kafka), of(self.lake_events), of(self.lake_failed), of(self.events), of(self.failed_events),
            Counter({name: count for name, count in self.vendor.items() if name in names}), self.vendor_duplicates,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hop:
    """One comparison: ids that should be there and are not, that should not be there, and that are there too often."""

    name: str
    expected: int
    found: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    too_often: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Say whether nothing differs."""
        return not (self.missing or self.unexpected or self.too_often)


def insert_id(key: EventKey) -> str:
    """Return the id under which the vendor knows the event."""
    return f"{key[0]}:{key[1]}"


def compare(posted: Mapping[EventKey, Posted], found: Found) -> list[Hop]:
    """Compare every hop with the one before it, or with what the client knows; in the order of the way."""
    valid = {insert_id(key) for key, event in posted.items() if event.is_valid}
    failed = {insert_id(key) for key, event in posted.items() if not event.is_valid}
    consented = {insert_id(key) for key, event in posted.items() if event.is_valid and event.is_consented}
    kafka = _named(found.kafka)
    return [
        _acknowledged_in_kafka(posted, kafka),
        _between("Kafka → lake", kafka, kafka, _named(found.lake_events) + _named(found.lake_failed)),
        _once("valid → EVENTS", valid, _named(found.events)),
        _once("malformed → FAILED_EVENTS", failed, _named(found.failed_events)),
        _once("valid and consented → vendor", consented, found.vendor),
        Hop(
            "sent to the vendor twice", 0, found.vendor_duplicates,
            too_often=(f"{found.vendor_duplicates} events",) if found.vendor_duplicates else (),
        ),
    ]  # fmt: skip


def _acknowledged_in_kafka(posted: Mapping[EventKey, Posted], kafka: Counter[str]) -> Hop:
    # An attempt whose answer was lost may be in Kafka too, so there is a least and a most.
    least = Counter({insert_id(key): event.acknowledged for key, event in posted.items()})
    most = Counter({insert_id(key): event.sent for key, event in posted.items()})
    return _between("acknowledged → Kafka", least, most, kafka)


def _once(name: str, expected: set[str], found: Counter[str]) -> Hop:
    once = Counter(expected)
    return _between(name, once, once, found)


def _between(name: str, least: Counter[str], most: Counter[str], found: Counter[str]) -> Hop:
    beyond = sorted((found - most).keys())
    return Hop(
        name,
        least.total(),
        found.total(),
        missing=tuple(sorted((least - found).keys())),
        unexpected=tuple(key for key in beyond if key not in most),
        too_often=tuple(key for key in beyond if key in most),
    )


def _named(counts: Counter[EventKey]) -> Counter[str]:
    return Counter({insert_id(key): count for key, count in counts.items()})
