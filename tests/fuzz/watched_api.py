"""A running ingest API under attack: is it alive, quick, quiet and of the same size as before?"""

from __future__ import annotations

import time

import psutil

from tests.integration.ingest_server import EVENT, ApiServer

QUICK_SECONDS = 3.0
_TROUBLE = ('"level":"error"', '"level":"critical"', "Traceback", "panicked", "[ERROR]", "[CRITICAL]")


class WatchedApi:
    """An API process, its workers and what it logs."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self._processes = self._alive()
        self._read = 0

    @property
    def port(self) -> int:
        return self.server.port

    def rss_bytes(self) -> int:
        """Return the resident memory of the API's processes."""
        return sum(process.memory_info().rss for process in self._alive())

    def trouble(self) -> list[str]:
        """Return the lines logged since the last look that say of a fault."""
        text = self.server.log()
        fresh, self._read = text[self._read :], len(text)
        return [line for line in fresh.splitlines() if any(mark in line for mark in _TROUBLE)]

    def assert_well(self) -> None:
        """Fail unless the same processes live, nothing was logged as a fault and a good request is answered quickly."""
        assert self.server.process.poll() is None, f"the API ended; its log:\n{self.server.log()[-5000:]}"
        began = time.monotonic()
        answer = self.server.post({"events": [EVENT]})
        took = time.monotonic() - began
        assert answer.status == 200, answer.body
        assert took < QUICK_SECONDS, f"a good request took {took:.1f} s"
        assert self._alive() == self._processes, "a worker process was replaced"
        assert self.trouble() == []

    def _alive(self) -> set[psutil.Process]:
        main = psutil.Process(self.server.process.pid)
        return {main, *main.children(recursive=True)}
