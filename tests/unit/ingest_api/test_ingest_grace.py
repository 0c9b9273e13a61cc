"""The grace period of refused keys: once per key, forgotten when the key is good again, bounded, without any key."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import json

from include.contract.sources import Registry, Source, WatchedRegistry, hash_key
from ingest_api.auth import Authenticator
from ingest_api.grace import CAPACITY, Grace
from ingest_api.outcomes import Outcome, RefusedError

DAY = 86_400.0


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def _registry(*, enabled: bool) -> Registry:
    source = Source("app", "App", (hash_key("old"), hash_key("new")), enabled=enabled)
    return Registry({"app": source}, dict.fromkeys(source.write_key_sha256, source))


def test_a_key_has_its_own_period_from_when_it_was_first_refused(clock: _Clock) -> None:
    grace = Grace(DAY, clock)
    assert not grace.is_over("lost")
    clock.now += DAY - 1
    assert not grace.is_over("lost")
    assert not grace.is_over("other")
    clock.now += 1
    assert grace.is_over("lost")
    assert grace.is_over("lost")
    assert not grace.is_over("other")


def test_without_a_period_the_honest_answer_comes_at_once(clock: _Clock) -> None:
    grace = Grace(0, clock)
    assert grace.is_over("lost")
    assert len(grace) == 0


def test_a_key_that_may_send_again_is_forgotten(clock: _Clock) -> None:
    grace = Grace(DAY, clock)
    grace.follow(_registry(enabled=False))
    assert not grace.is_over("old")
    assert not grace.is_over("lost")
    clock.now += DAY
    grace.follow(_registry(enabled=False))
    assert grace.is_over("old"), "a change of the file that does not concern it is no new period"
    # Nothing came from the source while it was enabled, so only the registries tell.
    grace.follow(_registry(enabled=True))
    grace.follow(_registry(enabled=False))
    assert not grace.is_over("old")
    assert grace.is_over("lost")


def test_a_source_that_was_enabled_while_only_others_asked_begins_again(clock: _Clock, tmp_path: Path) -> None:
    grace = Grace(DAY, clock)
    sources = WatchedRegistry(tmp_path / "sources.json", 0.0, clock, grace.follow)
    auth = Authenticator(sources, grace)

    def asked(*, enabled: bool, key: str) -> Outcome:
        both = [{"id": name, "name": name, "write_key_sha256": [hash_key(name)]} for name in ("app", "other")]
        (tmp_path / "sources.json").write_bytes(json.encode({"sources": [{**both[0], "enabled": enabled}, both[1]]}))
        try:
            auth.patient(key)
        except RefusedError as refused:
            return refused.outcome
        return Outcome.ACCEPTED

    assert asked(enabled=False, key="app") is Outcome.SOURCE_ON_HOLD
    clock.now += DAY
    assert asked(enabled=False, key="app") is Outcome.SOURCE_DISABLED
    assert asked(enabled=True, key="other") is Outcome.ACCEPTED
    assert asked(enabled=False, key="app") is Outcome.SOURCE_ON_HOLD


def test_the_memory_is_bounded_and_the_longest_known_goes_first(clock: _Clock) -> None:
    grace = Grace(DAY, clock)
    for number in range(CAPACITY):
        assert not grace.is_over(f"key-{number}")
    assert not grace.is_over("key-0"), "being seen again keeps it no longer"
    for number in range(5):
        assert not grace.is_over(f"more-{number}")
    assert len(grace) == CAPACITY
    clock.now += DAY
    assert grace.is_over("key-5")
    assert not grace.is_over("key-0"), "forgotten, so its period begins again: late, never early"


def test_a_flood_of_keys_never_ends_a_period_early(clock: _Clock) -> None:
    grace = Grace(DAY, clock, capacity=3)
    assert not grace.is_over("lost")
    clock.now += DAY - 1
    for number in range(10):
        assert not grace.is_over(f"guess-{number}")
    clock.now += 1
    assert not grace.is_over("lost")
    assert len(grace) == 3


def test_no_key_is_held(clock: _Clock) -> None:
    grace = Grace(DAY, clock)
    for key in ("a-secret-key", "", "\udcff"):
        assert not grace.is_over(key)
    assert set(grace._first_seen) == {hash_key(key) for key in ("a-secret-key", "", "\udcff")}
    assert "a-secret-key" not in repr(vars(grace))
