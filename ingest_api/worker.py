"""Begins a worker process: sets on it, and on the socket that it listens on, what granian has no options for."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from typing import Any

from granian import Granian

from include.contract.nesting import limit_depth

_PR_SET_PDEATHSIG = 1


def work(
    parent: int,
    send_timeout_ms: int,
    worker: int,
    name: str | None,
    application: object,
    sockets: Any,  # noqa: ANN401 - granian's own
    *more: object,
) -> None:
    """Serve until told to stop, or until the parent process is gone; granian calls it in the new process.

    `sockets` is granian's ((how to listen, None), None): here it becomes ((None, a listening socket), None).
    """
    _end_with(parent)
    limit_depth()
    listening = sockets[0][0].build()
    _give_up_sending_after(send_timeout_ms, listening.get_fd())
    Granian._spawn_rsgi_worker(worker, name, application, ((None, listening), None), *more)  # noqa: SLF001


def _end_with(parent: int) -> None:
    """Have the kernel kill us when the parent dies: we would keep its port, and nobody would know of us.

    Killed, not asked to stop, as who begins or hangs does not listen; what was answered 200 is durable all the same.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def _give_up_sending_after(timeout_ms: int, descriptor: int) -> None:
    """Close connections whose client takes nothing of its answer for so long; accepted sockets inherit the option."""
    if sys.platform == "linux":
        with socket.socket(fileno=os.dup(descriptor)) as listening:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
