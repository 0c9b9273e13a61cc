"""The spool's files: groups, a lock per process, adoption, kill -9, damage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest_api import spool_home
from ingest_api.spool_files import SpoolFiles
from ingest_api.spool_frames import scan
from tests.unit.documents import ROOT
from tests.unit.ingest_api.spool_folder import SMALL, append, drained, spool_paths, take_over


def test_groups_are_read_in_order_and_removed_when_sent(tmp_path: Path) -> None:
    files = SpoolFiles(tmp_path / "a" / "b", SMALL)
    for start in range(0, 300, 10):
        append(files, *range(start, start + 10))
    assert len(spool_paths(files.root)) > 2
    assert sum(segment.records for segment in files.segments) == 300
    assert drained(files) == list(range(300))
    assert spool_paths(files.root) == []
    assert files.segments == ()
    files.close()
    assert list(files.root.iterdir()) == []


def test_what_was_sent_is_not_sent_again_after_a_restart(tmp_path: Path) -> None:
    first = SpoolFiles(tmp_path, SMALL * 100)
    append(first, *range(10))
    oldest = first.read()
    assert oldest is not None
    first.mark(oldest[0], oldest[1][:4])
    rest = first.read()
    assert rest is not None
    assert len(rest[1]) == 6
    first.close()
    assert drained(take_over(tmp_path)) == list(range(4, 10))


def test_a_living_process_keeps_its_files_and_a_dead_one_is_adopted_once(tmp_path: Path) -> None:
    alive = SpoolFiles(tmp_path, SMALL)
    append(alive, 1, 2)
    other = take_over(tmp_path)
    assert other.segments == ()
    alive.close()
    other.look_around()
    third = take_over(tmp_path)
    while other.take_over_next():
        pass
    assert third.segments == ()
    assert drained(other) == [1, 2]
    other.look_around()
    assert list(tmp_path.iterdir()) == []


CHILD = """
import os, sys, time
from pathlib import Path
from ingest_api.spool_files import SpoolFiles
from ingest_api.spool_frames import Record, encode
files = SpoolFiles(Path(sys.argv[1]), 20_000)
number = 0
while True:
    group = range(number, number + 7)
    files.append([encode(Record(time.time(), None, b"%d:" % n + bytes(900), [])) for n in group], time.time())
    number += 7
    os.write(1, b"%d\\n" % number)
"""


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.2])
def test_everything_acknowledged_is_there_after_kill_9(tmp_path: Path, seconds: float) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        assert take_over(tmp_path).segments == (), "its folder is locked while it lives"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        acknowledged = int((first + child.stdout.read()).split()[-1])
    files = take_over(tmp_path)
    found = drained(files)
    assert found[:acknowledged] == list(range(acknowledged))
    assert len(found) <= acknowledged + 7
    assert files.set_aside_files == 0
    assert spool_paths(tmp_path) == []


def test_a_damaged_file_gives_what_is_readable_and_is_set_aside(tmp_path: Path) -> None:
    first = SpoolFiles(tmp_path, SMALL * 100)
    append(first, *range(10))
    first.close()
    (path,) = spool_paths(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    garbage = path.with_name("0" + spool_home.SUFFIX)
    garbage.write_bytes(b"this is not a spool file at all")
    files = take_over(tmp_path)
    assert len(drained(files)) == 9
    files.look_around()
    assert files.set_aside_files == 2
    assert sorted(file.read_bytes() for file in tmp_path.glob("*.corrupt-*"))[1] == garbage_of(garbage)
    assert spool_paths(tmp_path) == []
    assert take_over(tmp_path).set_aside_files == 2, "until somebody looked at them"


def garbage_of(path: Path) -> bytes:
    assert not path.exists()
    return b"this is not a spool file at all"


def test_what_kafka_refuses_is_kept_for_a_human(tmp_path: Path) -> None:
    files = SpoolFiles(tmp_path, SMALL * 100)
    append(files, 1, 2)
    oldest = files.read()
    assert oldest is not None
    segment, frames = oldest
    files.refuse(segment, frames[:1])
    assert drained(files) == [2]
    (kept,) = tmp_path.glob("*.refused-*")
    assert [frame.record for frame in scan(kept.read_bytes()).frames] == [frames[0].record]
    (tmp_path / "again").mkdir()
    kept.rename(tmp_path / "again" / "1.spool")
    assert drained(take_over(tmp_path)) == [1], "put back as docs/runbooks/spool.md says"


def test_a_dead_process_that_spooled_nothing_leaves_nothing(tmp_path: Path) -> None:
    first = SpoolFiles(tmp_path, SMALL)
    first.try_disk()
    home = first._own
    assert home is not None
    os.close(home._lock)
    files = take_over(tmp_path)
    assert files.segments == ()
    files.look_around()
    assert list(tmp_path.iterdir()) == []


def test_a_torn_end_is_kept_beside_the_spool_and_only_so_many(tmp_path: Path) -> None:
    for number in range(12):
        first = SpoolFiles(tmp_path, SMALL * 100)
        append(first, number)
        first.close()
        (path,) = spool_paths(tmp_path)
        torn = path.read_bytes()[:20]
        path.write_bytes(path.read_bytes() + torn)
        files = take_over(tmp_path)
        assert drained(files) == [number]
        files.look_around()
        assert spool_paths(tmp_path) == []
        newest = max(tmp_path.glob("*.torn-*"), key=lambda one: one.suffix)
        assert scan(newest.read_bytes()).torn_bytes == len(torn)
        assert files.set_aside_files == min(number + 1, 8)
        files.close()


@pytest.mark.parametrize("in_own", [True, False])
def test_a_pipe_in_the_place_of_a_file_stops_nobody(tmp_path: Path, in_own: bool) -> None:
    first = SpoolFiles(tmp_path, SMALL * 100)
    append(first, 1)
    if in_own:
        (path,) = spool_paths(tmp_path)
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(OSError, match="ordinary"):
            first.read()
        return
    first.close()
    os.mkfifo(spool_paths(tmp_path)[0].with_name("0" + spool_home.SUFFIX))
    files = take_over(tmp_path)
    assert drained(files) == [1]
    assert files.set_aside_files == 1
