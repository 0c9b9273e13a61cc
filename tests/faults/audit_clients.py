"""The clients of the kill audit: bulk clients in processes of their own, and the SDKs, started over and over."""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import msgspec

from local.paths import PYTHON, ROOT
from tests.faults.audit_bulk import Counts, Order
from tests.faults.audit_ledger import LedgerWriter
from tests.sdks import clients
from tests.sdks.clients import Delivery, Running, Sdk

_LEAVE_SECONDS = 150.0


class BulkProcess:
    """A bulk client; it ends by itself once its standard input does, also when this process is killed."""

    def __init__(self, order: Order) -> None:
        self.name, self._counts = order.name, Path(order.counts)
        self._process = subprocess.Popen(
            [PYTHON, "-m", "tests.faults.audit_bulk"], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if self._process.stdin:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            self._process.stdin.flush()

    def counts(self) -> Counts:
        """Return what it has counted so far."""
        try:
            return msgspec.json.decode(self._counts.read_bytes(), type=Counts)
        except FileNotFoundError:
            return Counts()

    def finish(self) -> Counts:
        """Let it end what it has begun; raises RuntimeError when it failed, which would make its ledger worthless."""
        _, errors = self._process.communicate(timeout=_LEAVE_SECONDS)
        if self._process.returncode or errors:
            raise RuntimeError(f"{self.name} ended with status {self._process.returncode}: {errors.decode()[-2000:]}")
        return self.counts()

    def stop(self) -> None:
        """End it at once; does nothing once it has left."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stderr):
            if stream:
                stream.close()


@dataclass(frozen=True)
class Pace:
    """How one run of an SDK goes: so many calls, and then so long a wait for the SDK's verdicts."""

    calls: int = 200
    per_second: float = 10.0
    patience_seconds: float = 45.0


@dataclass
class Believed:
    """What one SDK said of its calls over all its runs."""

    runs: int = 0
    calls: int = 0
    delivered: int = 0
    given_up: int = 0
    undecided: int = 0
    foreign: list[str] = field(default_factory=list)
    """Addresses outside this machine that it asked for."""
    problems: list[str] = field(default_factory=list)
    """How drivers ended that did not end well; what they had said counts all the same."""

    def add(self, delivery: Delivery) -> None:
        """Add one run."""
        self.runs += 1
        self.calls += len(delivery.calls)
        self.delivered += len(delivery.delivered)
        self.given_up += len(delivery.failed)
        self.undecided += len(delivery.undecided())
        self.foreign += delivery.foreign


class SdkLoop:
    """Runs one SDK again and again, each time with a new prefix and at the next API process."""

    def __init__(self, sdk: Sdk, urls: Sequence[str], key: str, source_id: str, ledger: Path, pace: Pace) -> None:
        self.sdk, self.believed = sdk, Believed()
        self._urls, self._key, self._source_id, self._pace = cycle(urls), key, source_id, pace
        self._ledger = ledger
        self._running: Running | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop)
        self._error: Exception | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def leave(self) -> None:
        """Start no other run; the one under way goes on."""
        self._stopping.set()

    def finish(self) -> Believed:
        """Let the run under way end, start no other, and return what the SDK believed."""
        self.leave()
        self._thread.join()
        if self._error:
            raise self._error
        return self.believed

    def stop(self) -> None:
        """End the run under way at once; does nothing once all have ended."""
        self._stopping.set()
        if self._running:
            self._running.stop()
        self._thread.join()

    def _loop(self) -> None:
        try:
            with LedgerWriter(self._ledger) as ledger:
                while not self._stopping.is_set():
                    self._run(ledger)
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error

    def _run(self, ledger: LedgerWriter) -> None:
        pace = self._pace
        self._running = clients.start(
            self.sdk, next(self._urls), self._key, pace.calls, prefix=f"{self.sdk.name}-{uuid.uuid4().hex[:8]}",
            per_second=pace.per_second, patience_seconds=pace.patience_seconds,
        )  # fmt: skip
        delivery = self._running.delivery
        # Any call that was ordered may have gone out, whatever the driver had time to say.
        ledger.add("sent", self._source_id, (call.id for call in delivery.calls))
        try:
            self._running.wait()
        except RuntimeError as error:
            self.believed.problems.append(str(error))
        if delivery.delivered:
            ledger.add("acknowledged", self._source_id, sorted(delivery.delivered))
        self.believed.add(delivery)
