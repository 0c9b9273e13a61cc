"""The spool's files on a disk that is full, fails its fsync, or loses what it had."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from ingest_api import spool_frames, spool_home
from ingest_api.spool_files import SpoolFiles
from ingest_api.spool_frames import scan
from tests.unit.documents import ROOT
from tests.unit.ingest_api.spool_folder import SMALL, append, drained, spool_paths, take_over


def test_after_a_failed_fsync_the_file_is_closed_and_the_next_group_gets_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = SpoolFiles(tmp_path, SMALL * 100)
    append(files, 1)

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("ingest_api.spool_segment.os.fdatasync", fail)
        for number in (2, 3):
            with pytest.raises(OSError, match="Input/output"):
                append(files, number)
        with pytest.raises(OSError, match="Input/output"):
            files.try_disk()
    assert len(spool_paths(tmp_path)) == 1, "files that never had anything durable are gone"
    append(files, 4)
    assert len(spool_paths(tmp_path)) == 2
    assert drained(files) == [1, 4]


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = SpoolFiles(tmp_path, SMALL * 100)
    append(files, 1)
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 20:
            return real(descriptor, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ingest_api.spool_segment.os.write", full)
        with pytest.raises(OSError, match="No space"):
            append(files, 2)
    (path,) = spool_paths(tmp_path)
    found = scan(path.read_bytes())
    assert (len(found.frames), found.torn_bytes) == (1, 0)
    assert drained(files) == [1]


FULL_CHILD = """
import resource, signal, sys, time
from pathlib import Path
from ingest_api.spool_files import SpoolFiles
from ingest_api.spool_frames import Record, encode
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
files = SpoolFiles(Path(sys.argv[1]), 1_000_000)
for number in range(10):
    try:
        files.append([encode(Record(time.time(), None, b"%d:" % number + bytes(900), []))], time.time())
        print(number)
    except OSError as error:
        print("failed", number, error.errno)
"""


def test_a_file_that_may_not_grow_is_left_and_another_begun(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_CHILD, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    acknowledged = [int(line) for line in lines if not line.startswith("failed")]
    assert f"failed 3 {errno.EFBIG}" in lines
    assert drained(take_over(tmp_path)) == acknowledged


def test_files_that_cannot_be_removed_are_not_sent_again_and_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = SpoolFiles(tmp_path, SMALL)
    append(files, 1)

    def fail(_path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fail)
        assert drained(files) == [1]
    assert len(spool_paths(tmp_path)) == 1
    assert files.read() is None
    files.look_around()
    assert spool_paths(tmp_path) == []


def test_a_removed_folder_is_noticed_before_anything_is_promised(tmp_path: Path) -> None:
    files = SpoolFiles(tmp_path, SMALL)
    append(files, 1)
    (path,) = spool_paths(tmp_path)
    path.unlink()
    with pytest.raises(OSError, match="removed"):
        append(files, 2)
    append(files, 3)
    assert len(spool_paths(tmp_path)) == 1


def test_an_unreadable_file_does_not_stop_the_others(tmp_path: Path) -> None:
    first = SpoolFiles(tmp_path, SMALL)
    append(first, 1)
    first.close()
    (path,) = spool_paths(tmp_path)
    path.with_name("0" + spool_home.SUFFIX).mkdir()
    files = take_over(tmp_path)
    assert drained(files) == [1]
    assert files.set_aside_files == 1


def test_a_trial_is_never_sent(tmp_path: Path) -> None:
    files = SpoolFiles(tmp_path, SMALL * 100)
    files.try_disk()
    assert files.read() is None
    append(files, 1)
    assert drained(files) == [1]
    assert scan(spool_frames.frame(b"x", spool_frames.DONE)).frames == []


def test_a_file_that_stays_unreadable_is_set_aside_and_one_that_recovers_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files, broken = SpoolFiles(tmp_path, 1), set[str]()

    def read(path: Path) -> bytes:
        if path.name in broken:
            raise OSError(errno.EIO, "Input/output error")
        return path.read_bytes()

    monkeypatch.setattr("ingest_api.spool_files.read_ordinary", read)
    append(files, 1)
    append(files, 2)
    lasting, passing = (path.name for path in spool_paths(tmp_path))
    broken |= {lasting, passing}
    for _ in range(29):
        with pytest.raises(OSError, match="Input/output"):
            files.read()
    broken.remove(passing)
    append(files, 3)
    found = []
    while files.segments:
        with suppress(OSError):
            oldest = files.read()
            assert oldest is not None
            found += [int(frame.record.value.partition(b":")[0]) for frame in oldest[1]]
            files.mark(*oldest)
    assert sorted(found) == [2, 3]
    (kept,) = tmp_path.glob("*.corrupt-*")
    assert lasting.removesuffix(spool_home.SUFFIX) in kept.name
    assert files.set_aside_files == 1
    assert "spool_unreadable" in [record.message for record in caplog.records]
