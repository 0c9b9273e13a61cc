"""The registry of sources: found by key, reloaded when the file changes, robust against single bad entries."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from include.contract import sources
from include.contract.sources import PLATFORMS, Limits, Registry, WatchedRegistry, hash_key, load
from include.errors import SetupError
from tests.unit.documents import ROOT


def _entry(name: str, *keys: str, **more: object) -> dict[str, Any]:
    return {"id": name, "name": name.title(), "write_key_sha256": [hash_key(key) for key in keys], **more}


def _write(path: Path, *entries: object) -> Path:
    path.write_text(json.dumps({"sources": list(entries)}))
    return path


def test_a_source_is_found_by_each_of_its_keys(tmp_path: Path) -> None:
    registry = load(_write(tmp_path / "s.json", _entry("ios", "k1", "k2"), _entry("web", "k3", enabled=False)))
    first, second, third = registry.find("k1"), registry.find("k2"), registry.find("k3")
    assert first is second is registry.sources["ios"]
    assert third is not None
    assert not third.enabled
    assert registry.find("") is registry.find("k4") is registry.find("\udcff") is None
    assert registry.problems == ()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"id": "x"}, "missing required field"),
        (_entry("Upper Case", "k"), "matching regex"),
        (_entry("none"), "length >= 1"),
        (_entry("three", "a", "b", "c"), "length <= 2"),
        ({"id": "clear", "name": "x", "write_key_sha256": ["the-key-itself"]}, "matching regex"),
        (_entry("typo", "k", enabeld=False), "unknown field"),
        (_entry("ios", "other"), "used by an earlier entry"),
        (
            _entry("tv", "k", platform="phone"),
            "`platform`: Expected `str` matching regex '^(ios|android|web|car|server)?",
        ),
        (_entry("slow", "k", limits={"events_per_second": -1}), "`limits`: Expected `int` >= 0"),
        (_entry("slow", "k", limits={"events_per_second": 1.5}), "`limits`: Expected `int | null`, got `float`"),
        (_entry("slow", "k", limits={"event_per_second": 1}), "`limits`: Object contains unknown field"),
        (_entry("slow", "k", limits=5), "`limits`: Expected `object`"),
        (5, "Expected `object`"),
    ],
)
def test_a_bad_entry_leaves_the_others(tmp_path: Path, bad: object, reason: str) -> None:
    registry = load(_write(tmp_path / "s.json", _entry("ios", "k1"), bad, _entry("web", "k3")))
    assert set(registry.sources) == {"ios", "web"}
    assert registry.find("k3") is registry.sources["web"]
    (problem,) = registry.problems
    assert problem.startswith("source entry 1 is left out: ")
    assert reason in problem


@pytest.mark.parametrize("order", [1, -1])
def test_a_key_of_two_sources_opens_neither_and_their_other_keys_stay(tmp_path: Path, order: int) -> None:
    entries = [_entry("ios", "k1", "k2"), _entry("thief", "k1", "k9"), _entry("poor", "k1"), _entry("web", "k3", "k3")]
    registry = load(_write(tmp_path / "s.json", *entries[::order]))
    assert set(registry.sources) == {"ios", "thief", "poor", "web"}
    assert registry.find("k1") is None
    assert [getattr(registry.find(key), "id", None) for key in ("k2", "k9", "k3")] == ["ios", "thief", "web"]
    (problem,) = registry.problems
    assert all(name in problem for name in ("ios", "thief", "poor", hash_key("k1")[:8]))
    assert hash_key("k1") not in problem


def test_a_pipe_in_the_place_of_the_file_is_a_matter_of_setup(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s.json")
    with pytest.raises(SetupError, match="not an ordinary file"):
        load(tmp_path / "s.json")


def test_everything_that_is_wrong_with_an_entry_is_said(tmp_path: Path) -> None:
    bad = {"id": "Odd", "write_key_sha256": [], "platform": "tv", "enabled": "yes", "note": 1}
    (problem,) = load(_write(tmp_path / "s.json", bad)).problems
    for name in ("`id`: ", "field `name`", "`write_key_sha256`: ", "`platform`: ", "`enabled`: ", "field `note`"):
        assert name in problem
    assert "Odd" not in problem, "a value may be a key that was put in the wrong place"


@pytest.mark.parametrize("platform", ["", *PLATFORMS])
def test_the_platforms_are_those_of_events(tmp_path: Path, platform: str) -> None:
    suite = json.loads((ROOT / "great_expectations/expectations/events.json").read_text())
    arguments = [one["kwargs"] for one in suite["expectations"] if one["kwargs"].get("column") == "platform"]
    (known,) = [each["value_set"] for each in arguments if "value_set" in each]
    assert tuple(known) == PLATFORMS
    assert load(_write(tmp_path / "s.json", _entry("app", "k", platform=platform))).sources["app"].platform == platform


@pytest.mark.parametrize(
    ("written", "limits"),
    [
        ({}, Limits()),
        ({"limits": {}}, Limits()),
        ({"limits": {"events_per_second": 0, "device_events_per_second": None}}, Limits(0, None)),
        ({"limits": {"events_per_second": 5000, "device_events_per_second": 1}}, Limits(5000, 1)),
    ],
)
def test_limits_are_optional(tmp_path: Path, written: dict[str, Any], limits: Limits) -> None:
    source = load(_write(tmp_path / "s.json", _entry("app", "k", **written))).sources["app"]
    assert source.limits == limits


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"sources": 5}', "{}", '{"sources": ' + "[" * 100_000])
def test_a_broken_file_is_a_matter_of_setup(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(SetupError, match=r"s\.json is not a list of sources"):
        load(path)
    with pytest.raises(SetupError, match="cannot be read"):
        load(tmp_path / "absent.json")


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_change_of_the_file_is_seen_at_the_next_look(tmp_path: Path) -> None:
    clock, path = _Clock(), tmp_path / "s.json"
    watched = WatchedRegistry(path, interval_seconds=1.0, clock=clock)
    assert watched.current() is None
    assert "cannot be read" in watched.problems()[0]

    _write(path, _entry("ios", "k1"))
    assert watched.current() is None, "the next look is a second away"
    clock.now = 1.0
    registry = watched.current()
    assert registry is not None
    assert registry.find("k1") is not None
    assert watched.problems() == []

    clock.now = 2.0
    assert watched.current() is registry, "an unchanged file is not read again"
    _write(tmp_path / "new.json", _entry("ios", "k2"))
    os.replace(tmp_path / "new.json", path)  # noqa: PTH105
    clock.now = 3.0
    rotated = watched.current()
    assert rotated is not None
    assert rotated.find("k1") is None
    assert rotated.find("k2") is not None


def test_a_file_that_breaks_keeps_the_last_good_registry(tmp_path: Path) -> None:
    clock, path = _Clock(), _write(tmp_path / "s.json", _entry("ios", "k1"))
    watched = WatchedRegistry(path, interval_seconds=1.0, clock=clock)
    good = watched.current()
    path.write_text("{")
    clock.now = 1.0
    assert watched.current() is good
    assert "is not a list of sources" in watched.problems()[0]
    path.unlink()
    clock.now = 2.0
    assert watched.current() is good
    _write(path, _entry("ios", "k1"))
    clock.now = 3.0
    assert watched.current() == good
    assert watched.problems() == []


def test_a_file_that_becomes_readable_without_a_change_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, path = _Clock(), _write(tmp_path / "s.json", _entry("ios", "k1"))
    watched = WatchedRegistry(path, interval_seconds=1.0, clock=clock)

    def refuse(path: Path) -> Registry:
        raise SetupError(f"sources file {path} cannot be read (Permission denied)")

    with monkeypatch.context() as patch:
        patch.setattr(sources, "load", refuse)
        assert watched.current() is None
    clock.now = 1.0
    assert watched.current() is not None
    assert watched.problems() == []
