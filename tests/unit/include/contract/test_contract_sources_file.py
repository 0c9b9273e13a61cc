"""Changes of the sources file: whole or not at all, one at a time, and nothing lost that they do not concern."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from include.contract import sources_file
from include.contract.sources import hash_key, load
from include.contract.sources_file import edit
from include.errors import SetupError
from tests.unit.documents import ROOT

ENTRY = {"id": "app", "name": "App", "write_key_sha256": [hash_key("k")]}
# Broken entries in an odd hand: a wrong field, a duplicate, no object, a number nobody can hold, no UTF-8.
ODD = b"""{ "note":"\\u00e4",
 "sources" : [{"id":"shop-ios",  "name": "Shop", "write_key_sha256": ["%s"]},
   {"id" : "typo", "enabeld":false, "n": 1e999,
      "id": "typo"}, 5,
 {"id": "\xff"}   ,{"id":"shop-ios"}], "zzz": [1 ,2]}
""" % hash_key("shop").encode()
KEPT = (
    b'{"id" : "typo", "enabeld":false, "n": 1e999,\n      "id": "typo"}',
    b'{"id": "\xff"}',
    b"[1 ,2]",
    b'"\\u00e4"',
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sources.json"


def _add(path: Path, name: str = "app") -> None:
    with edit(path) as entries:
        entries.append({**ENTRY, "id": name, "write_key_sha256": [hash_key(name)]})


def _names(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def _change_and_fail(path: Path) -> None:
    with edit(path) as entries:
        entries.append(ENTRY)
        entries.change(len(entries.written), enabled=False)


def test_a_new_file_is_its_owners_alone(path: Path) -> None:
    _add(path)
    assert load(path).find("app") is not None
    assert path.stat().st_mode & 0o7777 == 0o600
    assert _names(path) == [".sources.json.lock", "sources.json"]


def test_what_a_change_does_not_concern_stays_byte_by_byte(path: Path) -> None:
    path.write_bytes(ODD)
    before = load(path)
    assert len(before.problems) == 4
    _add(path)
    with edit(path) as entries:
        index = entries.position("shop-ios")
        assert index == 0, "the one in use, not the broken one with the same id"
        entries.change(index, enabled=False, name="Shop 2")
    after, data = load(path), path.read_bytes()
    assert after.problems == before.problems
    assert all(text in data for text in KEPT)
    assert set(after.sources) == {"shop-ios", "app"}
    assert (after.sources["shop-ios"].enabled, after.sources["shop-ios"].name) == (False, "Shop 2")
    assert after.find("shop") is after.sources["shop-ios"]
    _add(path, "second")
    assert path.read_bytes().count(b"\n") > data.count(b"\n")
    assert path.read_bytes().startswith(data[: data.index(b'"app"')])


def test_a_block_that_fails_or_changes_nothing_writes_nothing(path: Path) -> None:
    path.write_bytes(ODD)
    before = path.stat()
    with edit(path) as entries:
        assert entries.position("nobody") is None
    with pytest.raises(IndexError):
        _change_and_fail(path)
    assert path.read_bytes() == ODD
    assert path.stat() == before


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_the_mode_is_kept(path: Path, mode: int) -> None:
    _add(path)
    path.chmod(mode)
    _add(path, "other")
    assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_roots_changes_leave_the_file_to_its_owner(path: Path) -> None:
    path.parent.chmod(0o755)
    os.chown(path.parent, 50001, 50002)
    _add(path)
    made = [path.with_name(name).stat() for name in _names(path)]
    assert {(one.st_uid, one.st_gid) for one in made} == {(50001, 50002)}
    os.chown(path, 50003, 0)
    _add(path, "other")
    assert (path.stat().st_uid, path.stat().st_gid) == (50003, 0)


def test_a_link_is_followed_and_kept(path: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    path.symlink_to(tmp_path / "real" / "s.json")
    _add(path)
    _add(path, "other")
    assert path.is_symlink()
    assert set(load(tmp_path / "real" / "s.json").sources) == {"app", "other"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is not a list of sources"),
        (b'{"sources": [', "is not a list of sources"),
        (b'{"sources": 5}', "is not a list of sources"),
        (b'{"sources": ' + b"[" * 100_000, "is not a list of sources"),
        (b'{"sources": [{"id": "a"}], "sources": []}', "has a member twice"),
    ],
)
def test_a_broken_file_is_refused_and_left_alone(path: Path, text: bytes, reason: str) -> None:
    path.write_bytes(text)
    with pytest.raises(SetupError, match=reason):
        _add(path)
    assert path.read_bytes() == text


def _fail(number: int) -> Callable[..., int]:
    def call(*_arguments: object, **_named: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize(
    ("call", "number", "hint"),
    [
        ("os.open", errno.EROFS, "run this where the file can be written"),
        ("os.open", errno.EACCES, "who may write file and folder"),
        ("os.fsync", errno.EIO, "see whether it is"),
        ("os.fsync", errno.ENOSPC, "free some space"),
        ("os.fchmod", errno.EPERM, "the file's owner"),
        ("Path.replace", errno.EBUSY, "mount its folder instead"),
    ],
)
def test_a_disk_that_refuses_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, hint: str
) -> None:
    _add(path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os if call.startswith("os.") else Path, call.rpartition(".")[2], _fail(number))
        with pytest.raises(SetupError, match=rf"sources\.json cannot be changed \(.+\); .*{hint}"):
            _add(path, "other")
    assert path.read_bytes() == before
    assert _names(path) == [".sources.json.lock", "sources.json"]


def test_what_is_no_file_in_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="make its folder first"):
        _add(tmp_path / "absent" / "sources.json")
    with pytest.raises(SetupError, match="see whether it is an ordinary file"):
        _add(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="see whether it is an ordinary file"):
        _add(tmp_path / "file" / "sources.json")


def test_a_command_killed_before_the_rename_leaves_the_old_file_and_no_lock(path: Path) -> None:
    _add(path)
    before = path.read_bytes()
    code = """
import os, signal, sys
from pathlib import Path
from include.contract.sources_file import edit
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with edit(Path(sys.argv[1])) as entries:
    entries.append({"id": "killed"})
"""
    ended = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert b"killed" in path.with_name(".sources.json.new").read_bytes(), "it was killed where it should be"
    _add(path, "after")
    assert set(load(path).sources) == {"app", "after"}
    assert _names(path) == [".sources.json.lock", "sources.json"]


def test_a_second_command_waits_for_the_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_file, "LOCK_SECONDS", 0.1)
    with edit(path) as entries:
        entries.append(ENTRY)
        with pytest.raises(SetupError, match="another command has sources file"):
            _add(path, "other")
    _add(path, "other")
    assert set(load(path).sources) == {"app", "other"}


def test_a_reader_sees_only_whole_files(path: Path) -> None:
    _add(path)
    code = """
import sys
from pathlib import Path
from include.contract.sources_file import edit
for number in range(100):
    with edit(Path(sys.argv[1])) as entries:
        entries.change(0, name=f"App {number}" * number)
"""
    with subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT) as writer:
        seen = set()
        while writer.poll() is None:
            seen.add(load(path).sources["app"].name)
    assert writer.returncode == 0
    assert len(seen) > 3
    assert json.loads(path.read_bytes())["sources"][0]["name"] == "App 99" * 99
