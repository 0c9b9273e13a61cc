"""The operator's command for sources: each of its commands, what it prints, and its exit status."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from include.contract.sources import Limits, hash_key, load
from ingest_api import sources

KEY = re.compile(r"^[0-9a-f]{32}$", re.MULTILINE)


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sources.json"


@pytest.fixture
def run(path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> Ended:
        try:
            status = sources.main(list(arguments), {"INGEST_SOURCES_PATH": str(path)})
        except SystemExit as ended:
            status = int(ended.code or 0)
        return Ended(status, *capsys.readouterr())

    return call


def _create(run: Run, name: str = "shop-ios", *more: str) -> str:
    ended = run("create", name, "--name", "Shop", "--platform", "ios", "--quiet", *more)
    assert (ended.status, ended.err) == (0, "")
    return ended.out.removesuffix("\n")


def test_create_shows_a_key_once_and_stores_its_hash(run: Run, path: Path) -> None:
    ended = run("create", "shop-ios", "--name", "Shop für iOS", "--platform", "ios")
    assert (ended.status, ended.err) == (0, "")
    (key,) = KEY.findall(ended.out)
    source = load(path).find(key)
    assert source is not None
    assert (source.id, source.name, source.platform, source.enabled) == ("shop-ios", "Shop für iOS", "ios", True)
    assert source.limits == Limits()
    assert key not in path.read_text()
    assert KEY.search(run("list").out) is None


def test_quiet_prints_the_key_and_nothing_else(run: Run, path: Path) -> None:
    first = _create(run)
    assert KEY.fullmatch(first)
    second = run("rotate", "shop-ios", "--quiet").out
    assert KEY.fullmatch(second.removesuffix("\n"))
    assert load(path).find(second.strip()) == load(path).sources["shop-ios"]
    assert _create(run, "other") != first


def test_limits_are_created_changed_and_removed(run: Run, path: Path) -> None:
    _create(run, "shop-ios", "--events-per-second", "5000", "--device-events-per-second", "50")
    assert load(path).sources["shop-ios"].limits == Limits(5000, 50)
    assert run("limit", "shop-ios", "--device-events-per-second", "0").out == (
        "Limits of source shop-ios: 5000 events/s.\n"
    )
    assert load(path).sources["shop-ios"].limits == Limits(5000, None)
    assert run("limit", "shop-ios", "--events-per-second", "0").out == "Limits of source shop-ios: none.\n"
    assert "limits" not in path.read_text()
    ended = run("limit", "shop-ios")
    assert (ended.status, "name at least one limit" in ended.err) == (1, True)


def test_rotate_and_retire_take_turns(run: Run, path: Path) -> None:
    first = _create(run)
    second = run("rotate", "shop-ios", "--quiet").out.strip()
    registry = load(path)
    assert registry.find(first) is registry.find(second) is not None

    third = run("rotate", "shop-ios")
    assert (third.status, third.out) == (1, "")
    assert hash_key(first)[:8] in third.err
    assert "`retire` the older one" in third.err

    retired = run("retire", "shop-ios")
    assert (retired.status, retired.out) == (
        0,
        f"Key {hash_key(first)[:8]} of source shop-ios is not valid any more.\n",
    )
    registry = load(path)
    assert registry.find(first) is None
    assert registry.find(second) is not None

    last = run("retire", "shop-ios")
    assert (last.status, last.out) == (1, "")
    assert "has only the key" in last.err
    assert load(path) == registry


def test_retire_drops_the_named_key(run: Run, path: Path) -> None:
    first = _create(run)
    second = run("rotate", "shop-ios", "--quiet").out.strip()
    unknown = run("retire", "shop-ios", "--key", "12345678")
    assert (unknown.status, "has no key 12345678" in unknown.err) == (1, True)
    assert run("retire", "shop-ios", "--key", hash_key(second)[:8]).status == 0
    assert load(path).find(second) is None
    assert load(path).find(first) is not None


def test_a_key_that_stands_in_the_file_twice_is_one(run: Run, path: Path) -> None:
    entry = {"id": "app", "name": "App", "write_key_sha256": [hash_key("k"), hash_key("k")]}
    path.write_text(json.dumps({"sources": [entry]}))
    assert "has only the key" in run("retire", "app").err
    assert run("rotate", "app").status == 0
    assert load(path).find("k") is not None


def test_disable_and_enable(run: Run, path: Path) -> None:
    _create(run)
    assert run("disable", "shop-ios").out == "Source shop-ios is disabled.\n"
    assert not load(path).sources["shop-ios"].enabled
    again = run("disable", "shop-ios")
    assert (again.status, again.out) == (0, "Source shop-ios was disabled already.\n")
    assert run("enable", "shop-ios").out == "Source shop-ios is enabled.\n"
    assert load(path).sources["shop-ios"].enabled


def test_list_shows_everything_but_keys(run: Run, path: Path) -> None:
    first = _create(run, "shop-ios", "--events-per-second", "10")
    second = run("rotate", "shop-ios", "--quiet").out.strip()
    entry = {"id": "old", "name": "\x1b[2JÖl", "write_key_sha256": [hash_key("k")], "enabled": False}
    written = json.loads(path.read_text())["sources"]
    path.write_text(json.dumps({"sources": [*written, entry, {"id": "x"}]}))
    ended = run("list")
    assert ended.status == 0
    keys = f"{hash_key(first)[:8]} {hash_key(second)[:8]}"
    assert [re.split(r"  +", line) for line in ended.out.splitlines()] == [
        ["ID", "NAME", "PLATFORM", "ENABLED", "KEYS", "LIMITS"],
        ["shop-ios", "Shop", "ios", "yes", f"2: {keys}", "10 events/s"],
        ["old", "?[2JÖl", "-", "no", f"1: {hash_key('k')[:8]}", "none"],
    ]
    assert ended.err.startswith("source entry 2 is left out: missing required field")

    shown: dict[str, Any] = json.loads(run("list", "--json").out)
    assert shown["sources"][0] == {
        "id": "shop-ios",
        "name": "Shop",
        "platform": "ios",
        "enabled": True,
        "keys": keys.split(),
        "limits": {"events_per_second": 10, "device_events_per_second": None},
    }
    assert [source["id"] for source in shown["sources"]] == ["shop-ios", "old"]
    assert shown["problems"] == [ended.err.strip()]


def test_check_says_every_problem(run: Run, path: Path) -> None:
    absent = run("check")
    assert (absent.status, "cannot be read" in absent.out) == (1, True)
    path.write_text('{"sources": []}')
    assert run("check") == Ended(1, f"{path}: no source can send\n", "")
    _create(run)
    assert run("check") == Ended(0, f"{path}: no problem\n", "")
    written = json.loads(path.read_text())["sources"]
    path.write_text(json.dumps({"sources": [{"id": "X"}, *written, {"id": "tv", "platform": "tv"}]}))
    ended = run("check")
    assert (ended.status, ended.out.count("\n")) == (1, 2)
    assert "entry 0 is left out: `id`" in ended.out
    assert "entry 2 is left out: " in ended.out
    path.write_text("{")
    assert (run("check").status, "not a list" in run("check").out) == (1, True)


def test_broken_entries_are_named_and_never_touched(run: Run, path: Path) -> None:
    broken = {"id": "tv", "name": "TV", "platform": "tv", "write_key_sha256": [hash_key("k")]}
    path.write_text(json.dumps({"sources": [broken]}))
    before = path.read_text()
    for command in (["create", "tv", "--name", "x", "--platform", "ios"], ["rotate", "tv"], ["disable", "tv"]):
        ended = run(*command)
        assert (ended.status, ended.out) == (1, "")
        assert "source entry 0 is left out: `platform`" in ended.err
        assert "correct that entry" in ended.err
    assert path.read_text() == before
    _create(run)
    assert json.loads(path.read_text())["sources"][0] == broken


@pytest.mark.parametrize("command", ["rotate", "retire", "disable", "enable"])
def test_an_unknown_source_is_said(run: Run, path: Path, command: str) -> None:
    _create(run)
    before = path.read_text()
    ended = run(command, "shop")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == f"no source shop is in {path}; `list` shows them, `create` adds one\n"
    assert path.read_text() == before


def test_an_id_is_created_once(run: Run, path: Path) -> None:
    key = _create(run)
    ended = run("create", "shop-ios", "--name", "x", "--platform", "web")
    assert (ended.status, ended.out) == (1, "")
    assert "for another key `rotate` it" in ended.err
    assert load(path).find(key) is not None


WRONG = [
    [],
    ["destroy", "shop"],
    ["create", "shop"],
    ["rotate"],
    ["rotate", "shop", "--quie"],
    ["limit", "shop", "--events-per-second", "-1"],
    *(["create", "a", "--name", "x", "--platform", platform] for platform in ("", "iOS", "phone")),
    *(
        ["create", "a", "--platform", "ios", "--name", name]
        for name in ("", " ", "a\nb", "\x1b[2J", "\udcff", "n" * 101)
    ),
    *(
        ["create", id_, "--platform", "ios", "--name", "x"]
        for id_ in ("", "A", "-a", "a b", "a/b", "ä", "a\n", "a" * 64)
    ),
    *(
        ["create", "a", "--platform", "ios", "--name", "x", "--events-per-second", number]
        for number in ("0", "-1", "1.5", "many", "²", "9" * 5000)
    ),
]


@pytest.mark.parametrize("arguments", WRONG, ids=lambda arguments: ascii(" ".join(arguments)[:40]))
def test_wrong_use_ends_with_2_and_changes_nothing(run: Run, path: Path, arguments: list[str]) -> None:
    ended = run(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert "error: " in ended.err
    assert not path.exists()


@pytest.mark.parametrize("command", ["", "create", "rotate", "retire", "disable", "enable", "limit", "list", "check"])
def test_help_is_everywhere(run: Run, path: Path, command: str) -> None:
    ended = run(*filter(None, [command, "--help"]))
    assert (ended.status, ended.err) == (0, "")
    assert "Exit status" in ended.out
    assert "INGEST_SOURCES_PATH" in ended.out


def test_the_file_may_be_named_before_and_after_the_command(run: Run, path: Path, tmp_path: Path) -> None:
    other = str(tmp_path / "other.json")
    _create(run, "one", "--file", other)
    assert run("--file", other, "list").out == run("list", "--file", other).out
    assert not path.exists()
