"""Runs the real, unmodified client SDKs against an API and says what each believes it delivered, for tests.

`run(BY_NAME["segment-node"], url, key, 100, prefix="a")` waits for the end; `start(...)` returns at once, for tests
that break the API meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from local import processes
from local.paths import CHROMIUM, PYTHON, ROOT, SDKS, node
from tests.sdks import calls
from tests.sdks.calls import Call, Dialect

_DRIVERS = ROOT / "tests" / "sdks" / "drivers"
# A driver leaves by itself when its patience ends; this is for its start and for a machine under load.
_MARGIN_SECONDS = 30


@dataclass(frozen=True)
class Sdk:
    """One published package and its driver."""

    name: str
    package: str
    dialect: Dialect
    driver: tuple[str, ...]

    def command(self) -> list[str]:
        """Return the command line of its driver, which reads its order from standard input."""
        if self.driver[0].endswith(".mjs"):
            return [str(node()), str(_DRIVERS / self.driver[0]), str(SDKS), str(CHROMIUM)]
        return [str(PYTHON), "-m", f"tests.sdks.drivers.{self.driver[0]}", *self.driver[1:]]


SDKS_UNDER_TEST = (
    Sdk("amplitude-python", "amplitude-analytics", "amplitude", ("amplitude_python",)),
    Sdk("amplitude-node", "@amplitude/analytics-node", "amplitude", ("amplitude_node.mjs",)),
    Sdk("amplitude-browser", "@amplitude/analytics-browser", "amplitude", ("amplitude_browser.mjs",)),
    Sdk("segment-python", "segment-analytics-python", "segment", ("queued_python", "segment.analytics")),
    Sdk("segment-node", "@segment/analytics-node", "segment", ("segment_node.mjs",)),
    Sdk("rudder-python", "rudder-sdk-python", "rudder", ("queued_python", "rudderstack.analytics")),
    Sdk("rudder-node", "@rudderstack/rudder-sdk-node", "rudder", ("rudder_node.mjs",)),
)
BY_NAME = {sdk.name: sdk for sdk in SDKS_UNDER_TEST}


def here() -> list[Sdk]:
    """Return the SDKs that run on this machine: the Chromium that comes with the packages is for Linux on x86-64."""
    browser = sys.platform == "linux" and platform.machine() == "x86_64"
    return [sdk for sdk in SDKS_UNDER_TEST if browser or sdk.name != "amplitude-browser"]


@dataclass
class Delivery:
    """What an SDK did: the ids of the calls that were made, and of those that it believes delivered or gave up."""

    sdk: Sdk
    calls: tuple[Call, ...]
    sent: set[str] = field(default_factory=set)
    delivered: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    # Addresses outside this machine that the browser's SDK asked for.
    foreign: list[str] = field(default_factory=list)

    def undecided(self) -> set[str]:
        """Return the ids that went out and of which the SDK has not said how they ended."""
        return self.sent - self.delivered - set(self.failed)

    def take(self, line: dict[str, Any]) -> None:
        """Add one line of the driver's report."""
        if "sent" in line:
            self.sent.add(line["sent"])
        elif "foreign" in line:
            self.foreign.append(line["foreign"])
        elif line["delivered"]:
            self.delivered.add(line["id"])
        else:
            self.failed[line["id"]] = line["reason"]


class Running:
    """A driver at work; `delivery` grows while it runs."""

    def __init__(self, sdk: Sdk, order: Mapping[str, Any], calls: tuple[Call, ...], seconds: float) -> None:
        self.delivery = Delivery(sdk, calls)
        self._end = time.monotonic() + seconds
        # For the browser's profile as well: it goes with the driver, however that ends.
        self._folder = tempfile.TemporaryDirectory(prefix="sdk-", ignore_cleanup_errors=True)
        self._errors = Path(self._folder.name) / "stderr.log"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                sdk.command(),
                cwd=ROOT,
                env=os.environ | {"TMPDIR": self._folder.name, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        stdin = self._process.stdin
        if stdin:
            with stdin:
                json.dump(order, stdin)

    def wait(self) -> Delivery:
        """Return what it did once it has left; raises RuntimeError with its errors if it did not end well."""
        try:
            code: int | None = self._process.wait(max(1.0, self._end - time.monotonic()))
        except subprocess.TimeoutExpired:
            code = None
        errors = self._errors.read_text(errors="replace")[-4000:]
        self.stop()
        if code is None:
            raise RuntimeError(f"The driver of {self.delivery.sdk.name} did not leave in time:\n{errors}")
        if code:
            raise RuntimeError(f"The driver of {self.delivery.sdk.name} ended with status {code}:\n{errors}")
        return self.delivery

    def stop(self) -> None:
        """End the driver, as a crash of the app would; does nothing once it has left. `delivery` stays readable."""
        # A browser has a process group of its own, and would write into the folder while it goes.
        browser = psutil.Process(self.pid).children(recursive=True) if self._process.poll() is None else []
        processes.kill_group(self.pid)
        for process in browser:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(browser)
        self._process.wait()
        self._reader.join()
        self._folder.cleanup()

    def _read(self) -> None:
        stdout = self._process.stdout
        if stdout:
            with stdout:
                for line in stdout:
                    # A kill can cut the last line off.
                    if line.endswith("\n"):
                        self.delivery.take(json.loads(line))


def start(
    sdk: Sdk,
    url: str,
    key: str,
    count: int,
    *,
    prefix: str,
    per_second: float = 0,
    patience_seconds: float = 20,
    flush_seconds: float = 0.2,
    options: Mapping[str, Any] | None = None,
) -> Running:
    """Start a driver: the known set of its dialect, then `count` track calls at `per_second` (0: at once).

    It waits `patience_seconds` after the last call for the SDK's verdicts. `options` are settings of the SDK's own.
    """
    made = (*calls.known_set(sdk.dialect, prefix), *calls.stream(prefix, count))
    order = {
        "url": url,
        "key": key,
        "calls": [asdict(call) for call in made],
        "per_second": per_second,
        "patience_seconds": patience_seconds,
        "flush_seconds": flush_seconds,
        "options": dict(options or {}),
    }
    pace_seconds = len(made) / per_second if per_second else 0
    return Running(sdk, order, made, pace_seconds + patience_seconds + _MARGIN_SECONDS)


def run(sdk: Sdk, url: str, key: str, count: int, **more: Any) -> Delivery:
    """Start a driver and wait for its end; arguments as in `start`."""
    return start(sdk, url, key, count, **more).wait()
