"""Runs supervisord for one stack and makes sure that nothing outlives it: `python -m local.supervise STATE_DIR`.

supervisor was chosen over circus (needs tornado and zmq), honcho (neither log files nor restarts) and code of our own:
it has rotating logs, process groups, escalation from TERM to KILL and a control socket, proven for twenty years.
What it lacks is here: it stops when the process that started it is gone, and sweeps up what left its process groups.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

from supervisor import supervisord

from local import processes
from local.control import config_file

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_SECONDS = 10.0


def main(state: Path) -> None:
    """Supervise until told to stop, or until standard input ends because the starter died."""
    _adopt_orphans()
    threading.Thread(target=_stop_with_starter, args=(state,), daemon=True).start()
    try:
        supervisord.main(["--nodaemon", "--silent", "--configuration", str(config_file(state))])
    finally:
        processes.end(state)


def _stop_with_starter(state: Path) -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    # All at once: supervisord's own shutdown takes one program after the other.
    processes.end(state, _PATIENCE_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _adopt_orphans() -> None:
    # So that supervisord reaps children whose parent died; elsewhere than on Linux init does it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
