"""Produces a day of believable events for the benchmark of a whole day, and knows what of them must arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec

from bench.backlog import EVENTS_PER_REQUEST, Job, produced
from local.traffic import TrafficConfig, generate

_DAY_SECONDS = 86_400
PLACES, BASE = 4, 257


class Sent(msgspec.Struct, frozen=True):
    """What was produced: the valid events, and the sum of their ids' first characters read as numbers of base 257."""

    events: int
    valid: int
    checksum: int


def fill(job: Job, events: int, number: int) -> Sent:
    """Produce one share of the day, retries included; runs in a process of its own."""
    config = TrafficConfig(
        seed=number + 1, start=datetime.now(UTC) - timedelta(days=1), users=100_000,
        events_per_request=EVENTS_PER_REQUEST, events_per_second=events / _DAY_SECONDS,
    )  # fmt: skip
    valid = checksum = 0
    for request in produced(job, islice(generate(config), events // EVENTS_PER_REQUEST)):
        if not request.is_retry:
            ids = [one.event_id for one in request.events if one.event_id and one.expected == "valid"]
            valid += len(ids)
            checksum += sum(ord(text[place]) * BASE**place for text in ids for place in range(PLACES))
    return Sent(events, valid, checksum)


def summed(shares: list[Sent]) -> Sent:
    """Add up the shares."""
    return Sent(*(sum(getattr(one, name) for one in shares) for name in Sent.__struct_fields__))
