"""Reads a file that an operator or another process made, for whoever must not wait for a pipe."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_ordinary(path: Path) -> bytes:
    """Return a file's content; raises OSError also for what is no ordinary file, where reading could wait for ever."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not an ordinary file", str(path))
        return stream.read()
