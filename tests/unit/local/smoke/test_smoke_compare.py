"""The comparison of ids: equal when every hop has what it should, and each kind of difference at each hop is named."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from local.reader import EventKey
from local.smoke.compare import Found, Hop, Posted, compare, insert_id

VALID, REPEATED, SILENT, BAD = (("app", name) for name in ("valid", "repeated", "silent", "bad"))
POSTED = {
    VALID: Posted(is_valid=True, is_consented=True, acknowledged=1, sent=1),
    REPEATED: Posted(is_valid=True, is_consented=True, acknowledged=2, sent=3),
    SILENT: Posted(is_valid=True, is_consented=False, acknowledged=1, sent=1),
    BAD: Posted(is_valid=False, is_consented=True, acknowledged=2, sent=2),
}
WHOLE = Found(
    kafka=Counter({VALID: 1, REPEATED: 2, SILENT: 1, BAD: 2}),
    lake_events=Counter({VALID: 1, REPEATED: 2, SILENT: 1}),
    lake_failed=Counter({BAD: 2}),
    events=Counter([VALID, REPEATED, SILENT]),
    failed_events=Counter([BAD]),
    vendor=Counter([insert_id(VALID), insert_id(REPEATED)]),
)


def _different(found: Found) -> dict[str, Hop]:
    return {hop.name: hop for hop in compare(POSTED, found) if not hop.is_equal}


def _altered(field: str, counts: Counter[Any]) -> Found:
    changes: dict[str, Any] = {field: counts}
    return replace(WHOLE, **changes)


def test_whole_way_is_equal() -> None:
    assert _different(WHOLE) == {}
    counts = [(hop.expected, hop.found) for hop in compare(POSTED, WHOLE)]
    assert counts == [(6, 6), (6, 6), (3, 3), (1, 1), (2, 2), (0, 0)]


def test_nothing_posted_and_nothing_found_is_equal() -> None:
    assert all(hop.is_equal for hop in compare({}, Found()))


def test_attempt_without_an_answer_may_be_in_kafka_but_not_more_often_than_it_was_sent() -> None:
    more = WHOLE.kafka + Counter([REPEATED])
    lake = WHOLE.lake_events + Counter([REPEATED])
    assert _different(replace(WHOLE, kafka=more, lake_events=lake)) == {}
    too_many = replace(WHOLE, kafka=more + Counter([REPEATED]), lake_events=lake + Counter([REPEATED]))
    assert _different(too_many)["acknowledged → Kafka"].too_often == ("app:repeated",)


@pytest.mark.parametrize(
    ("field", "lost", "hop"),
    [
        ("lake_events", VALID, "Kafka → lake"),
        ("lake_failed", BAD, "Kafka → lake"),
        ("events", SILENT, "valid → EVENTS"),
        ("failed_events", BAD, "malformed → FAILED_EVENTS"),
        ("vendor", insert_id(VALID), "valid and consented → vendor"),
    ],
)
def test_lost_event_is_missing_at_its_hop_alone(field: str, lost: EventKey | str, hop: str) -> None:
    counts = Counter(getattr(WHOLE, field))
    counts[lost] -= 1
    different = _different(_altered(field, counts))
    assert list(different) == [hop]
    assert different[hop].missing == (lost if isinstance(lost, str) else insert_id(lost),)


def test_acknowledged_event_that_kafka_lacks_is_missing_and_too_much_in_the_lake() -> None:
    different = _different(replace(WHOLE, kafka=WHOLE.kafka - Counter([VALID])))
    assert different["acknowledged → Kafka"].missing == ("app:valid",)
    assert different["Kafka → lake"].unexpected == ("app:valid",)


@pytest.mark.parametrize(
    ("field", "twice", "hop"),
    [
        ("lake_events", VALID, "Kafka → lake"),
        ("events", REPEATED, "valid → EVENTS"),
        ("failed_events", BAD, "malformed → FAILED_EVENTS"),
        ("vendor", insert_id(REPEATED), "valid and consented → vendor"),
    ],
)
def test_event_that_is_there_twice_is_too_often(field: str, twice: EventKey | str, hop: str) -> None:
    counts = Counter(getattr(WHOLE, field))
    counts[twice] += 1
    different = _different(_altered(field, counts))
    assert list(different) == [hop]
    assert different[hop].too_often == (twice if isinstance(twice, str) else insert_id(twice),)


@pytest.mark.parametrize(
    ("field", "stray", "hop"),
    [
        ("kafka", ("app", "unknown"), "acknowledged → Kafka"),
        ("events", BAD, "valid → EVENTS"),
        ("failed_events", VALID, "malformed → FAILED_EVENTS"),
        ("vendor", insert_id(SILENT), "valid and consented → vendor"),
        ("vendor", insert_id(BAD), "valid and consented → vendor"),
    ],
)
def test_event_that_should_not_be_there_is_unexpected(field: str, stray: EventKey | str, hop: str) -> None:
    counts = Counter(getattr(WHOLE, field))
    counts[stray] += 1
    different = _different(_altered(field, counts))
    assert different[hop].unexpected == (stray if isinstance(stray, str) else insert_id(stray),)


def test_vendor_that_dropped_a_duplicate_was_sent_something_twice() -> None:
    assert list(_different(replace(WHOLE, vendor_duplicates=1))) == ["sent to the vendor twice"]


def test_ids_of_other_clients_can_be_left_out() -> None:
    other = ("app", "other")
    crowded = replace(WHOLE, kafka=WHOLE.kafka + Counter([other]), vendor=WHOLE.vendor + Counter([insert_id(other)]))
    assert _different(crowded) != {}
    assert _different(crowded.only(POSTED)) == {}
