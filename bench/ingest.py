"""Benchmark B1 (and B2 with `--events 1`): POST → checked → Kafka `acks=all` → 200, beside its physical limits.

`python -m bench.ingest` starts a broker and the API, runs interleaved rounds of the API, a bare HTTP server that drops
the body, and a bare producer of the same bodies, reads every topic back (count and checksum), and prints one table.
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
import sys
import tempfile
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec
import psutil
from confluent_kafka.admin import AdminClient

from bench import ingest_server, peers
from bench.ingest_check import verify, verify_events
from bench.ingest_load import Corpus, Report
from bench.ingest_server import run, server
from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from include.contract.sources import Source, hash_key
from local.setup import environments
from local.stack import Stack
from local.traffic import TrafficConfig, generate

ONE_BROKER = TopicSettings(replication_factor=1, min_insync_replicas=1)
READY = "/health/ready"
_WARM_UP_SECONDS = 2.0
NAMES = {
    "api": "ingest API, durable",
    "peer": "FastAPI + aiokafka, durable",
    "http": "bare RSGI, body dropped",
    "kafka": "bare producer, acks=all",
}
START = datetime(2026, 11, 22, 8, tzinfo=UTC)


class Round(msgspec.Struct, frozen=True):
    """One round of one contestant; `cpu_seconds` is that of the server or producer alone."""

    events: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float


class Bench:
    """Everything that stays the same between rounds."""

    def __init__(self, options: argparse.Namespace, folder: Path, bootstrap: str) -> None:
        self._options = options
        self._folder = folder
        self._bootstrap = bootstrap
        self._corpus = make_corpus(options)
        self._corpus_file = folder / "corpus.msgpack"
        self._corpus_file.write_bytes(msgspec.msgpack.encode(self._corpus))
        self._acknowledged = [0] * len(self._corpus.bodies)
        self._sources = write_sources(self._corpus, folder / "sources.json")

    def api(self) -> Round:
        """Measure the ingest API on a topic of its own, verified."""
        self._acknowledged = [0] * len(self._corpus.bodies)
        topic = new_topic(self._bootstrap)
        with server("ingest_api", api_environment(self._bootstrap, topic, self._sources), READY) as (port, process):
            report, cpu_s = self._load(port, process)
        verify(self._bootstrap, topic, self._corpus, self._acknowledged, enveloped=True)
        return self._round(report, cpu_s)

    def peer(self) -> Round:
        """Measure FastAPI + aiokafka on a topic of its own, verified event by event."""
        self._acknowledged = [0] * len(self._corpus.bodies)
        environments.install(peers.ENVIRONMENT, [peers.LOCK])
        topic = new_topic(self._bootstrap)
        module = f"bench.peers.fastapi_aiokafka {self._bootstrap} {topic} {self._sources}"
        with server(module, {}, "/", python=peers.PYTHON) as (port, process):
            report, cpu_s = self._load(port, process)
        verify_events(self._bootstrap, topic, self._corpus, self._acknowledged)
        return self._round(report, cpu_s)

    def http(self) -> Round:
        """Measure the bare HTTP server."""
        with server("bench.ingest_limit http", {}, "/") as (port, process):
            report, cpu_s = self._load(port, process)
        return self._round(report, cpu_s)

    def kafka(self) -> Round:
        """Measure the bare producer on a topic of its own, verified."""
        topic = new_topic(self._bootstrap)
        options = self._options
        arguments = ["kafka", self._bootstrap, topic, str(options.seconds), str(options.connections)]
        report = run("bench.ingest_limit", *arguments, str(self._corpus_file))
        verify(self._bootstrap, topic, self._corpus, report.stored, enveloped=False)
        return self._round(report, report.cpu_seconds)

    def _load(self, port: int, process: psutil.Process) -> tuple[Report, float]:
        self._run_load(port, _WARM_UP_SECONDS)
        before = ingest_server.cpu_seconds(process)
        report = self._run_load(port, self._options.seconds)
        return report, ingest_server.cpu_seconds(process) - before

    def _run_load(self, port: int, seconds: float) -> Report:
        arguments = [str(port), str(self._options.connections), str(seconds), str(self._corpus_file)]
        report = run("bench.ingest_load", *arguments)
        if set(report.statuses) != {200}:
            raise RuntimeError(f"answers other than 200: {report.statuses}")
        self._acknowledged = [old + new for old, new in zip(self._acknowledged, report.stored, strict=True)]
        return report

    def _round(self, report: Report, cpu_s: float) -> Round:
        events = sum(count * size for count, size in zip(report.stored, self._corpus.events, strict=True))
        return Round(events, report.seconds, cpu_s, report.p50_ms, report.p99_ms)


def new_topic(bootstrap: str) -> str:
    """Create a topic for one round; return its name."""
    name = f"bench-{uuid.uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    topic_spec.apply(admin, topic_spec.TopicSpec.of(name, ONE_BROKER))
    return name


def api_environment(bootstrap: str, topic: str, sources: Path) -> dict[str, str]:
    """Return the API's variables; what is set outside has the last word."""
    return {
        "INGEST_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "INGEST_KAFKA_TOPIC": topic,
        "INGEST_SOURCES_PATH": str(sources),
        "INGEST_LOG_LEVEL": "warning",
        "TOPIC_REPLICATION_FACTOR": "1",
        "TOPIC_MIN_INSYNC_REPLICAS": "1",
        **{name: value for name, value in os.environ.items() if name.startswith("INGEST_")},
    }


def write_sources(corpus: Corpus, file: Path) -> Path:
    """Write the sources whose keys the corpus has."""
    entries = [Source(key, key, (hash_key(key),)) for key in sorted(set(corpus.keys))]
    file.write_bytes(msgspec.json.encode({"sources": entries}))
    return file


def make_corpus(options: argparse.Namespace) -> Corpus:
    """Make the seeded bodies: fixed events per request, 5 % of the requests sent again."""
    config = TrafficConfig(
        seed=1,
        start=START,
        events_per_request=options.events,
        malformed_ratio=options.malformed,
        retry_ratio=0.05,
        daily_curve=False,
    )
    planned = list(islice(generate(config), options.requests))
    # A client's own zlib compresses better than the generator's fastest level.
    bodies = [gzip.compress(gzip.decompress(request.body), 6) for request in planned]
    return Corpus(bodies, [request.source_id for request in planned], [len(request.events) for request in planned])


def _row(name: str, rounds: list[Round], limit_cpu: float | None) -> str:
    def median(values: list[float]) -> float:
        return statistics.median(values)

    rates = [found.events / found.seconds for found in rounds]
    per_cpu = [found.events / found.cpu_seconds for found in rounds]
    cost = median([found.cpu_seconds / found.events * 1e6 for found in rounds])
    ratio = f"{cost / limit_cpu:6.2f}" if limit_cpu else "      "
    latency = f"{median([found.p50_ms for found in rounds]):7.1f} {median([found.p99_ms for found in rounds]):7.1f}"
    spread = f"{min(per_cpu):9,.0f}..{max(per_cpu):9,.0f}"
    return f"{name:28} {median(rates):10,.0f} {median(per_cpu):12,.0f} {spread:>22} {latency} {cost:8.2f} {ratio}"


def cpu_cost(rounds: list[Round]) -> float:
    """Return the processor time per event, µs, median."""
    return statistics.median(found.cpu_seconds / found.events * 1e6 for found in rounds)


def ratios(left: list[Round], right: list[Round]) -> list[float]:
    """Return how many times the events per CPU-second of the right the left has, round by round."""
    return [a.events / a.cpu_seconds / (b.events / b.cpu_seconds) for a, b in zip(left, right, strict=True)]


def report(rounds: dict[str, list[Round]]) -> None:
    """Print the table; the limit is the bare server's and the bare producer's processor time together."""
    limits = [name for name in ("http", "kafka") if name in rounds]
    limit = sum(cpu_cost(rounds[name]) for name in limits)
    heads = ("", "events/s", "per CPU-s", "lowest..highest", "p50 ms", "p99 ms", "CPU µs/ev", "x limit")
    print("{:28} {:>10} {:>12} {:>22} {:>7} {:>7} {:>8} {:>6}".format(*heads))
    for name, found in rounds.items():
        print(_row(NAMES[name], found, limit if name in {"api", "peer"} else None))
    print(f"limit ({' + '.join(NAMES[name] for name in limits)}): {limit:.2f} CPU µs per event")
    print("every topic was read back: count and checksum of each body equal what was acknowledged")


def measure(shape: argparse.Namespace, contestants: Sequence[str], rounds: int) -> dict[str, list[Round]]:
    """Run interleaved rounds with a broker of their own."""
    found: dict[str, list[Round]] = {name: [] for name in contestants}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Stack(Path(folder) / "kafka", parts=("kafka",), ports="free") as stack,
    ):
        bench = Bench(shape, Path(folder), stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"])
        for number in range(rounds):
            for name, results in found.items():
                results.append(getattr(bench, name)())
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return found


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--events", type=int, default=50, help="events per request")
    parser.add_argument("--requests", type=int, default=400, help="different requests in the corpus")
    parser.add_argument("--malformed", type=float, default=0.01, help="share of malformed events")
    parser.add_argument("--without", nargs="*", default=[], choices=("peer", "http", "kafka"))
    options = parser.parse_args()
    contestants = [name for name in NAMES if name not in options.without]
    report(measure(options, contestants, options.rounds))


if __name__ == "__main__":
    main()
