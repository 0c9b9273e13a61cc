"""Rates over 30 seconds and the rolling daily quota, on a clock the test holds."""

from __future__ import annotations

from local.amplitude.limits import RateLimits


class Clock:
    now = 1_795_390_000.0

    def __call__(self) -> float:
        return self.now


def events(count: int, device: str = "device-1") -> list[dict[str, str]]:
    return [{"device_id": device, "user_id": f"user-of-{device}"}] * count


def test_an_average_over_30_seconds_is_throttled_and_recovers() -> None:
    clock = Clock()
    limits = RateLimits(clock)
    assert limits.admit(events(900), 30) is None
    refused = limits.admit([*events(1, "device-2"), *events(2)], 30)
    assert refused == {
        "code": 429, "error": "Too many requests for some devices and users", "eps_threshold": 30,
        "throttled_devices": {"device-1": 31}, "throttled_users": {"user-of-device-1": 31},
        "exceeded_daily_quota_devices": {}, "exceeded_daily_quota_users": {}, "throttled_events": [1, 2],
    }  # fmt: skip
    clock.now += 29.9
    assert limits.admit(events(1), 30) is not None
    clock.now += 0.1
    assert limits.admit(events(1), 30) is None


def test_a_refused_request_does_not_count() -> None:
    limits = RateLimits(Clock())
    assert limits.admit([*events(1, "device-2"), *events(901)], 30) is not None
    assert limits.admit(events(900), 30) is None


def test_the_daily_quota_rolls_by_the_hour() -> None:
    clock = Clock()
    limits = RateLimits(clock, daily_quota=100)
    for _ in range(10):
        assert limits.admit(events(10), 1000) is None
        clock.now += 60
    refused = limits.admit(events(1), 1000)
    assert refused is not None
    assert refused["exceeded_daily_quota_devices"] == {"device-1": 101}
    assert refused["throttled_devices"] == {}
    clock.now += 23 * 3600
    assert limits.admit(events(1), 1000) is not None
    clock.now += 3600
    assert limits.admit(events(100), 1000) is None


def test_idle_ids_are_forgotten() -> None:
    clock = Clock()
    limits = RateLimits(clock)
    limits.admit(events(1), 30)
    clock.now += 26 * 3600
    limits.admit(events(1, "device-2"), 30)
    assert {value for _, value in limits._meters} == {"device-2", "user-of-device-2"}
