"""Benchmark of freshness: from the POST of an event until it can be queried in `EVENTS`, through a real Airflow.

`python -m bench.latency [--rate N] [--minutes N]` starts everything that `make run` starts, posts believable traffic,
and once a second one event whose arrival a reader of its own waits for. The limit is the same work called inline.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from azure.storage.blob import BlobServiceClient

from bench.backlog import backlog
from bench.drain import run
from bench.load import load_once
from local import clients
from local.board.traffic import Traffic
from local.stack import Stack

TARGET_P95_S = 80.0
TARGET_ORCHESTRATION_S = 8.0
REFERENCE_RATE = 347.0
"""30 M events a day, in events/s."""
_INTERVAL_S = 60.0
_POLL_S = 0.5
_PATIENCE_S = 180.0


class Arrival(msgspec.Struct, frozen=True):
    """One probe: when its POST began, and when the reader saw it in EVENTS; seconds since the epoch."""

    posted: float
    seen: float

    @property
    def after_interval_s(self) -> float:
        """Seconds from the end of the interval that the probe fell into."""
        return self.seen - (self.posted // _INTERVAL_S + 1) * _INTERVAL_S


class Result(msgspec.Struct, frozen=True):
    """What the probes met, and what the work of one interval takes without Airflow."""

    rate: float
    arrivals: list[Arrival]
    inline_s: float

    @property
    def p95_s(self) -> float:
        """From POST to EVENTS, seconds."""
        return _quantile([one.seen - one.posted for one in self.arrivals], 0.95)

    @property
    def orchestration_s(self) -> float:
        """What is neither waiting for the interval's end nor the work itself, seconds, p95."""
        return _quantile([one.after_interval_s for one in self.arrivals], 0.95) - self.inline_s


class Probes:
    """Posts one event a second and looks for those that are under way."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self._endpoints = endpoints
        self._device = f"probe-{uuid.uuid4().hex}"
        self._stop = threading.Event()
        self._under_way: dict[str, float] = {}
        self.arrivals: list[Arrival] = []

    def run(self, seconds: float) -> None:
        """Post for so long, then wait for what is under way; raises TimeoutError when a probe does not arrive."""
        poster = threading.Thread(target=self._post_until, args=(time.time() + seconds,))
        poster.start()
        last_try = time.time() + seconds + _PATIENCE_S
        with closing(clients.warehouse(self._endpoints)) as warehouse, closing(warehouse.cursor()) as cursor:
            while poster.is_alive() or self._under_way:
                cursor.execute("SELECT EVENT_ID FROM ANALYTICS.CORE.EVENTS WHERE DEVICE_ID = %s", (self._device,))
                self._note({row[0] for row in cursor.fetchall()}, time.time())
                if time.time() > last_try:
                    raise TimeoutError(f"{len(self._under_way)} probes did not arrive in EVENTS")
                time.sleep(_POLL_S)
        poster.join()

    def _note(self, there: set[str], now: float) -> None:
        for event_id in there & self._under_way.keys():
            self.arrivals.append(Arrival(self._under_way.pop(event_id), now))

    def _post_until(self, end: float) -> None:
        address = urlsplit(self._endpoints["LOCAL_URL_INGEST"])
        key = {"Authorization": f"Bearer {self._endpoints['LOCAL_WRITE_KEY_PHONE_APP']}"}
        with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)) as connection:
            while (now := time.time()) < end:
                event_id = uuid.uuid4().hex
                event = {
                    "event_id": event_id, "event_name": "probe", "device_id": self._device, "platform": "ios",
                    "occurred_at": datetime.now(UTC).isoformat(),
                }  # fmt: skip
                connection.request("POST", "/v1/events", json.dumps({"events": [event]}), key)
                answer = connection.getresponse()
                if answer.status != http.client.OK:
                    raise RuntimeError(f"the API answered {answer.status}: {answer.read().decode()}")
                answer.read()
                self._under_way[event_id] = now
                time.sleep(1)


def measure(rate: float, minutes: float) -> Result:
    """Measure at a rate in events/s, after one interval of warming up."""
    inline = statistics.median(work_inline(int(rate * _INTERVAL_S)) for _ in range(3))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Stack(Path(folder) / "state", ports="free") as stack:
        probes = Probes(stack.endpoints)
        with Traffic(stack.endpoints, rate, None):
            time.sleep(_INTERVAL_S)
            probes.run(minutes * 60)
    return Result(rate, probes.arrivals, inline)


def work_inline(events: int) -> float:
    """Return the seconds that the steps of one interval take in one warm process, without Airflow."""
    with (
        backlog(events, ("kafka", "azurite", "snowflake")) as (stack, job),
        BlobServiceClient.from_connection_string(job.azure) as service,
    ):
        container = service.create_container(job.settings.lake_container)
        staged = run("drain", job)
        return staged.seconds - staged.imports_cpu_s + load_once(stack, job, container, "INLINE").seconds


def report(result: Result) -> None:
    """Print what was measured."""
    waits = [one.seen - one.posted for one in result.arrivals]
    after = [one.after_interval_s for one in result.arrivals]
    print(f"{len(waits)} probes at {result.rate:.0f} events/s, one-minute intervals; seconds")
    for name, values in (("POST → EVENTS", waits), ("interval's end → EVENTS", after)):
        p50, p95 = statistics.median(values), _quantile(values, 0.95)
        print(f"    {name:26} p50 {p50:6.1f}   p95 {p95:6.1f}   most {max(values):6.1f}")
    print(f"    {'the same work inline':26} {result.inline_s:10.1f}")
    print(
        f"target p95 {TARGET_P95_S} s, of it orchestration {TARGET_ORCHESTRATION_S} s: {result.orchestration_s:.1f} s"
    )


def _quantile(values: list[float], of: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(of * 100) - 1]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=REFERENCE_RATE, help="events/s (default: 30 M a day)")
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    report(measure(options.rate, options.minutes))


if __name__ == "__main__":
    main()
