"""What every set-up step uses: its folders, its stamp, its log, and a way to run a program."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from include.errors import SetupError
from local.paths import ROOT, TOOLS

CACHE = TOOLS / "cache"
_STAMPS = TOOLS / "stamps"
_LOGS = TOOLS / "logs"
_FOREIGN = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "UV_PYTHON")
_LOG_LINES = 20


@dataclass(frozen=True)
class Step:
    """One thing to install: done again only when one of its inputs changed or its result is gone."""

    name: str
    title: str
    inputs: tuple[Path | str, ...]
    folder: Path
    result: Path
    install: Callable[[], None]

    def is_done(self) -> bool:
        """Say whether the result is there and was made from these very inputs."""
        stamp = _STAMPS / self.name
        return self.result.exists() and stamp.exists() and stamp.read_text() == self._digest()

    def run(self) -> None:
        """Install, and stamp last, so that a kill at any moment leaves a step that is done again."""
        began, begun = time.monotonic(), _STAMPS / f"{self.name}.begun"
        if begun.exists():
            # Half a package can look like a whole one: after an interruption start anew, from the caches.
            shutil.rmtree(self.folder, ignore_errors=True)
        _STAMPS.mkdir(parents=True, exist_ok=True)
        (_STAMPS / self.name).unlink(missing_ok=True)
        begun.touch()
        (_LOGS / f"setup-{self.name}.log").unlink(missing_ok=True)
        self.install()
        (_STAMPS / self.name).write_text(self._digest())
        begun.unlink()
        print(f"  {self.title:<58} {time.monotonic() - began:6.1f} s", flush=True)

    def _digest(self) -> str:
        parts = [item.read_text() if isinstance(item, Path) else item for item in self.inputs]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def run(step: str, command: Iterable[object], folder: Path = ROOT, **variables: object) -> None:
    """Run a program with its output in the step's log; raises SetupError with the log's end when it fails."""
    words = [str(word) for word in command]
    log = _LOGS / f"setup-{step}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environ = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    environ.update({name: str(value) for name, value in variables.items()})
    with log.open("a") as stream:
        stream.write(f"\n$ {' '.join(words)}\n")
        stream.flush()
        code = subprocess.call(words, cwd=folder, env=environ, stdout=stream, stderr=subprocess.STDOUT)
    if code:
        lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        raise SetupError(
            f"{Path(words[0]).name} failed (exit status {code}) while setting up {step}; is the network there? "
            f"Run `make setup` again; the whole log is {log}:\n" + "\n".join(f"  | {line}" for line in lines)
        )
