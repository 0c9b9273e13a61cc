"""Rates: in the long run a source and a device send what they may, whatever the size of their requests."""

from __future__ import annotations

import tracemalloc

import pytest

from include.contract.sources import Limits, Source
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rates import Rates
from tests.unit.ingest_api.rsgi_request import Clock

HASH = "0" * 64
FREE = Source("free", "Free", (HASH,))
SOURCE = Source("limited", "Limited", (HASH,), limits=Limits(events_per_second=100))
DEVICE = Source("by-device", "By device", (HASH,), limits=Limits(device_events_per_second=10))


def _passes(rates: Rates, source: Source, device: str | None, events: int) -> bool:
    try:
        rates.require(source)
        rates.charge(source, device, events)
    except RefusedError as refused:
        if refused.outcome is not Outcome.RATE_LIMITED or not refused.retry_after_seconds:
            raise
        return False
    return True


def test_without_limits_nothing_is_remembered() -> None:
    rates = Rates(10, Clock())
    assert all(_passes(rates, FREE, f"d-{number}", 1000) for number in range(100))
    assert rates.devices == 0


@pytest.mark.parametrize("size", [1, 50, 1000])
def test_a_source_sends_its_rate_in_the_long_run(size: int) -> None:
    clock = Clock()
    rates, sent = Rates(10, clock), 0
    for _ in range(20_000):
        sent += size if _passes(rates, SOURCE, None, size) else 0
        clock.now += 0.01
    assert 200 * 100 <= sent <= 200 * 100 + 100 + size


def test_a_large_batch_passes_and_says_how_long_the_next_one_waits() -> None:
    clock = Clock()
    rates = Rates(10, clock)
    rates.charge(SOURCE, None, 1000)
    with pytest.raises(RefusedError) as caught:
        rates.require(SOURCE)
    assert caught.value.retry_after_seconds == 9
    assert "100 events per second" in caught.value.message
    assert "9 s" in caught.value.message
    clock.now += 9
    rates.charge(SOURCE, None, 1)


def test_a_long_debt_asks_for_no_more_patience_than_the_sdks_have() -> None:
    rates = Rates(10, Clock())
    rates.charge(DEVICE, "d-1", 100_000)
    with pytest.raises(RefusedError) as caught:
        rates.charge(DEVICE, "d-1", 1)
    assert caught.value.retry_after_seconds == 300


def test_devices_do_not_touch_each_other_nor_the_same_name_of_another_source() -> None:
    rates = Rates(10, Clock())
    other = Source("other", "Other", (HASH,), limits=DEVICE.limits)
    assert _passes(rates, DEVICE, "loud", 50)
    assert not _passes(rates, DEVICE, "loud", 1)
    assert _passes(rates, DEVICE, "quiet", 1)
    assert _passes(rates, DEVICE, None, 1000)
    assert _passes(rates, other, "loud", 1)


def test_a_refused_request_costs_its_source_nothing() -> None:
    clock = Clock()
    both = Source("both", "Both", (HASH,), limits=Limits(events_per_second=100, device_events_per_second=10))
    rates = Rates(10, clock)
    assert _passes(rates, both, "loud", 90)
    assert not any(_passes(rates, both, "loud", 90) for _ in range(100))
    assert _passes(rates, both, "quiet", 1)


def test_zero_means_no_limit_and_a_changed_limit_holds_from_then_on() -> None:
    rates = Rates(10, Clock())
    off = Source("limited", "Limited", (HASH,), limits=Limits(events_per_second=0, device_events_per_second=0))
    assert all(_passes(rates, off, "d", 10_000) for _ in range(10))
    assert _passes(rates, SOURCE, "d", 10_000)
    assert not _passes(rates, SOURCE, "d", 1)
    assert _passes(rates, off, "d", 1)


def test_the_devices_that_sent_last_are_remembered_in_bounded_memory() -> None:
    rates = Rates(1000, Clock())
    assert _passes(rates, DEVICE, "loud", 100_000)
    tracemalloc.start()
    try:
        for number in range(20_000):
            assert _passes(rates, DEVICE, f"device-{number:020}", 1)
            if number % 500 == 0:
                assert not _passes(rates, DEVICE, "loud", 1), "who is refused is not forgotten"
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
    assert rates.devices == 1000


def test_what_is_given_back_was_never_used() -> None:
    clock = Clock()
    rates, both = Rates(1, clock), Source("both", "Both", (HASH,), limits=Limits(50, 10))
    for _ in range(5):
        assert _passes(rates, both, "d", 1000)
        rates.give_back(both, "d", 1000)
        clock.now += 0.1
    assert _passes(rates, both, "d", 1000)
    assert not _passes(rates, both, "e", 1)


def test_giving_back_forgets_nothing_else() -> None:
    clock = Clock()
    rates = Rates(1, clock)
    rates.charge(SOURCE, None, 100)
    rates.charge(SOURCE, None, 1000)
    rates.give_back(SOURCE, None, 1000)
    rates.charge(SOURCE, None, 50)
    rates.give_back(FREE, "d", 1000)
    clock.now += 0.4
    assert not _passes(rates, SOURCE, None, 1)
    clock.now += 0.1
    assert _passes(rates, SOURCE, None, 1)
    rates.charge(DEVICE, "first", 1)
    rates.charge(DEVICE, "second", 1)
    rates.give_back(DEVICE, "first", 1)  # who is forgotten by now
    assert rates.devices == 1
