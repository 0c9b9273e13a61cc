"""The operator's command for sources as a process: in the API's environment, several at once, interrupted, unheard."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from include.contract.sources import hash_key, load
from local.paths import API_PYTHON, ROOT


class Ended(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sources.json"


def _process(arguments: list[str], environ: dict[str, str], **more: Any) -> Ended:
    ended = subprocess.run(
        [API_PYTHON, "-W", "error", "-m", "ingest_api.sources", *arguments],
        cwd=ROOT,
        env={"COLUMNS": "200", **environ},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **{"stdout": subprocess.PIPE, **more},
    )
    return Ended(ended.returncode, ended.stdout or "", ended.stderr)


def test_in_the_apis_own_environment_without_any_other_setting(path: Path) -> None:
    environ = {"INGEST_SOURCES_PATH": str(path)}
    created = _process(["create", "app", "--name", "Ä", "--platform", "web", "--quiet"], environ)
    assert (created.status, created.err) == (0, "")
    assert load(path).find(created.out.strip()) is not None
    listed = _process(["list"], {**environ, "PYTHONIOENCODING": "ascii"})
    assert (listed.status, listed.err) == (0, "")
    assert "\\xc4" in listed.out


def test_the_help_shows_any_path() -> None:
    assert "odd%s.json" in _process(["--help"], {"INGEST_SOURCES_PATH": "odd%s.json"}).out


def test_commands_at_once_lose_nothing(path: Path) -> None:
    command = [str(API_PYTHON), "-m", "ingest_api.sources", "--file", str(path), "create", "--quiet", "--name", "x"]
    started = [
        subprocess.Popen([*command, "--platform", "ios", f"app-{number}"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for number in range(8)
    ]
    keys = [process.communicate(timeout=60)[0].strip() for process in started]
    assert [process.returncode for process in started] == [0] * 8
    registry = load(path)
    found = [registry.find(key) for key in keys]
    assert [source.id for source in found if source] == [f"app-{number}" for number in range(8)]


@pytest.mark.parametrize("command", ["create", "rotate", "list"])
def test_an_answer_that_nobody_takes_is_said_without_a_traceback(path: Path, command: str) -> None:
    entry = {"id": "app", "name": "App", "write_key_sha256": [hash_key("k")]}
    path.write_text(json.dumps({"sources": [entry]}))
    arguments = {"create": ["new", "--name", "x", "--platform", "ios"], "rotate": ["app"], "list": []}[command]
    with Path("/dev/full").open("wb") as full:
        ended = _process(["--file", str(path), command, *arguments], {}, stdout=full)
    assert ended.status == 1
    assert "the answer could not be written (No space left on device)" in ended.err
    assert ended.err.count("\n") == 1
    advice = re.findall(r"`(\w+) ([\w-]+)(?: --key (\w+))?`", ended.err.partition("For another: ")[2])
    for verb, source, key in advice:
        assert _process(["--file", str(path), verb, source, *(["--key", key] if key else [])], {}).status == 0
    assert len(advice) == (0 if command == "list" else 2)
    assert load(path).find("k") is not None


def test_ctrl_c_ends_without_a_traceback(path: Path) -> None:
    code = """
import fcntl, sys
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.read()
"""
    lock = path.with_name(".sources.json.lock")
    with subprocess.Popen(
        [API_PYTHON, "-c", code, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        command = [str(API_PYTHON), "-m", "ingest_api.sources", "--file", str(path), "create", "a", "--name", "x"]
        with subprocess.Popen(
            [*command, "--platform", "ios"], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as waiting:
            _await_open(waiting.pid, lock)
            waiting.send_signal(signal.SIGINT)
            out, err = waiting.communicate(timeout=10)
        holder.communicate()
    assert (waiting.returncode, out) == (130, "")
    assert err == "interrupted; `list` shows whether anything was changed\n"
    assert not path.exists()


def _await_open(pid: int, path: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for opened in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if opened.readlink() == path:
                    return
            except FileNotFoundError:
                pass
        time.sleep(0.02)
    raise AssertionError("it never came to the lock")


def test_a_read_only_folder_is_said(path: Path) -> None:
    if os.geteuid() == 0:
        # Root may write everywhere but in the kernel's own file systems.
        path = Path("/proc/self/sources.json")
    else:
        path.parent.chmod(0o500)
    ended = _process(["--file", str(path), "create", "a", "--name", "x", "--platform", "ios"], {})
    assert (ended.status, ended.out) == (1, "")
    assert "sources.json cannot be changed (" in ended.err
    assert ended.err.count("\n") == 1
