"""A machine with only Python and make: the tool chain comes into the project's folder, also after a kill, and works."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import processes
from local.paths import ROOT
from local.ports import free_ports
from local.settings import PORTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

_NEEDED = ("sh", "make", "awk", "test", "rm", "echo")
_LEFT_OUT = (".tools", ".local", ".git", "__pycache__", ".mypy_cache", ".ruff_cache", ".claude")
_PASSED_ON = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT")


class Clone:
    """A copy of the project, on a machine with nothing else."""

    def __init__(self, folder: Path) -> None:
        # With a space, because people have such folders.
        self.project, self.home, programs = folder / "my project", folder / "home", folder / "bin"
        shutil.copytree(ROOT, self.project, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        for new in (self.home, programs):
            new.mkdir()
        for name in _NEEDED:
            (programs / name).symlink_to(str(shutil.which(name)))
        (programs / "python3.11").symlink_to(getattr(sys, "_base_executable", sys.executable))
        ports = {"LOCAL_" + name.upper(): str(port) for name, port in free_ports(PORTS).items()}
        certificates = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self.environ = {"PATH": str(programs), "HOME": str(self.home), **ports, **certificates}

    def make(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["make", *words],  # noqa: S607
            cwd=self.project,
            env=self.environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    clone = Clone(tmp_path)
    yield clone
    processes.end(clone.project / ".local")


def _finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, output
    return output


def test_set_up_after_a_kill_then_run_and_stop(clone: Clone) -> None:
    killed = clone.make("setup")
    begun = clone.project / ".tools" / "stamps" / "venv.begun"
    while not begun.exists():
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(0.1)
    time.sleep(3)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()

    assert "Azurite" in _finish(clone.make("setup"))
    began = time.monotonic()
    assert _finish(clone.make("--silent", "setup")) == ""
    assert time.monotonic() - began < 5
    assert list(clone.home.iterdir()) == []

    clone.environ["LOCAL_PARTS"] = "ingest,azurite,snowflake"
    running = clone.make("run")
    assert running.stdout is not None
    seen = []
    for line in running.stdout:
        seen.append(line)
        if "everything serves" in line:
            break
    assert "everything serves" in seen[-1], "".join(seen)
    _finish(clone.make("stop"))
    _finish(running)
    assert processes.members(clone.project / ".local") == []
