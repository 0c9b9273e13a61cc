"""Benchmark B3: how long a 50-event POST waits for its durable answer at half of the API's maximum, in an open loop.

`python -m bench.ingest_latency` measures the maximum, then interleaves the API and a bare producer that waits for
each acknowledgement at the same rate; every topic is read back.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import msgspec

from bench.ingest import READY, Bench, api_environment, make_corpus, new_topic, write_sources
from bench.ingest_check import verify
from bench.ingest_load import Corpus, Report
from bench.ingest_server import run, server
from local.stack import Stack

ABOVE_LIMIT_MS = 2.0
_CONNECTIONS = 128
_WARM_UP_SECONDS = 2.0


class Result(msgspec.Struct, frozen=True):
    """Rounds of the API and of its limit at `rate` requests/s."""

    rate: float
    api: list[Report]
    limit: list[Report]

    @property
    def above_ms(self) -> list[float]:
        """How much later than the limit's the API's slowest percent is, round by round, ms."""
        return [api.p99_ms - limit.p99_ms for api, limit in zip(self.api, self.limit, strict=True)]


class Latency:
    """Everything that stays the same between rounds."""

    def __init__(self, corpus: Corpus, folder: Path, bootstrap: str, seconds: float) -> None:
        self._corpus = corpus
        self._bootstrap = bootstrap
        self._seconds = seconds
        self._file = folder / "latency.msgpack"
        self._file.write_bytes(msgspec.msgpack.encode(corpus))
        self._sources = write_sources(corpus, folder / "latency-sources.json")

    def api(self, rate: float) -> Report:
        """Measure the API, verified."""
        topic = new_topic(self._bootstrap)
        with server("ingest_api", api_environment(self._bootstrap, topic, self._sources), READY) as (port, _):
            reports = [self._post(port, rate, seconds) for seconds in (_WARM_UP_SECONDS, self._seconds)]
        stored = [sum(counts) for counts in zip(*(one.stored for one in reports), strict=True)]
        verify(self._bootstrap, topic, self._corpus, stored, enveloped=True)
        return reports[-1]

    def limit(self, rate: float) -> Report:
        """Measure the bare producer, verified."""
        topic = new_topic(self._bootstrap)
        report = run("bench.ingest_paced", self._bootstrap, topic, str(rate), str(self._seconds), str(self._file))
        verify(self._bootstrap, topic, self._corpus, report.stored, enveloped=False)
        return report

    def _post(self, port: int, rate: float, seconds: float) -> Report:
        report = run("bench.ingest_open", str(port), str(_CONNECTIONS), str(rate), str(seconds), str(self._file))
        if set(report.statuses) != {200}:
            raise RuntimeError(f"answers other than 200: {report.statuses}")
        return report


def measure(rounds: int, seconds: float) -> Result:
    """Measure with a broker of its own."""
    shape = argparse.Namespace(seconds=seconds, connections=256, events=50, requests=400, malformed=0.01)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Stack(Path(folder) / "kafka", parts=("kafka",), ports="free") as stack,
    ):
        bootstrap = stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
        most = Bench(shape, Path(folder), bootstrap).api()
        result = Result(most.events / most.seconds / shape.events / 2, [], [])
        latency = Latency(make_corpus(shape), Path(folder), bootstrap, seconds)
        for number in range(rounds):
            result.api.append(latency.api(result.rate))
            result.limit.append(latency.limit(result.rate))
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return result


def report(result: Result) -> None:
    """Print what was measured."""
    print(f"{result.rate:,.0f} requests/s of 50 events, half of the maximum, open loop; ms")
    for name, found in (("ingest API, durable", result.api), ("bare producer, acks=all", result.limit)):
        p50 = statistics.median(one.p50_ms for one in found)
        p99 = [one.p99_ms for one in found]
        print(f"    {name:26} p50 {p50:7.1f}   p99 {statistics.median(p99):7.1f} ({min(p99):.1f}..{max(p99):.1f})")
    above = result.above_ms
    print(f"    p99 above the limit's: {statistics.median(above):.1f} ({min(above):.1f}..{max(above):.1f})")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    report(measure(options.rounds, options.seconds))


if __name__ == "__main__":
    main()
