"""A disk of its own that a test can fill, and let grow again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest


class SmallDisk:
    """A tmpfs at `folder`; only root can mount one, so the test is skipped for anyone else."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self.folder, self._size = folder, size_bytes

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "small", str(self.folder)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("a disk of its own can only be mounted by root")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)  # noqa: S607 - where the system has it

    def free_bytes(self) -> int:
        """Return how much can still be written."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def grow(self, size_bytes: int) -> None:
        """Give it more room, as an operator would; what is on it stays."""
        subprocess.run(["mount", "-o", f"remount,size={size_bytes}", str(self.folder)], check=True)  # noqa: S607 - same
