"""Benchmark B1 (and B2 with `--events 1`): POST → checked → Kafka `acks=all` → 200, beside its physical limits.

`python -m bench.ingest` starts a broker and the API, runs interleaved rounds of the API, a bare HTTP server that drops
the body, and a bare producer of the same bodies, reads every topic back (count and checksum), and prints one table.
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec
import psutil
from confluent_kafka.admin import AdminClient

from bench.ingest_check import verify
from bench.ingest_load import HOST, Corpus, Report
from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from include.contract.sources import Source, hash_key
from local.paths import API_PYTHON, ROOT
from local.ports import free_ports
from local.stack import Stack
from local.traffic import TrafficConfig, generate

ONE_BROKER = TopicSettings(replication_factor=1, min_insync_replicas=1)
_WARM_UP_SECONDS = 2.0
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
        self._sources = folder / "sources.json"
        entries = [Source(key, key, (hash_key(key),)) for key in sorted(set(self._corpus.keys))]
        self._sources.write_bytes(msgspec.json.encode({"sources": entries}))

    def api(self) -> Round:
        """Measure the ingest API on a topic of its own, verified."""
        self._acknowledged = [0] * len(self._corpus.bodies)
        topic = self._new_topic()
        environment = {
            "INGEST_KAFKA_BOOTSTRAP_SERVERS": self._bootstrap,
            "INGEST_KAFKA_TOPIC": topic,
            "INGEST_SOURCES_PATH": str(self._sources),
            "INGEST_LOG_LEVEL": "warning",
            "TOPIC_REPLICATION_FACTOR": "1",
            "TOPIC_MIN_INSYNC_REPLICAS": "1",
            **{name: value for name, value in os.environ.items() if name.startswith("INGEST_")},
        }
        with serving("ingest_api", environment, "/health/ready") as (port, process):
            report, cpu_seconds = self._load(port, process)
        verify(self._bootstrap, topic, self._corpus, self._acknowledged, enveloped=True)
        return self._round(report, cpu_seconds)

    def http(self) -> Round:
        """Measure the bare HTTP server."""
        with serving("bench.ingest_limit http", {}, "/") as (port, process):
            report, cpu_seconds = self._load(port, process)
        return self._round(report, cpu_seconds)

    def kafka(self) -> Round:
        """Measure the bare producer on a topic of its own, verified."""
        topic = self._new_topic()
        options = self._options
        arguments = ["kafka", self._bootstrap, topic, str(options.seconds), str(options.connections)]
        report = client("bench.ingest_limit", *arguments, str(self._corpus_file))
        verify(self._bootstrap, topic, self._corpus, report.stored, enveloped=False)
        return self._round(report, report.cpu_seconds)

    def _load(self, port: int, process: psutil.Process) -> tuple[Report, float]:
        self._run_load(port, _WARM_UP_SECONDS)
        before = cpu_seconds_of(process)
        report = self._run_load(port, self._options.seconds)
        return report, cpu_seconds_of(process) - before

    def _run_load(self, port: int, seconds: float) -> Report:
        arguments = [str(port), str(self._options.connections), str(seconds), str(self._corpus_file)]
        report = client("bench.ingest_load", *arguments)
        if set(report.statuses) != {200}:
            raise RuntimeError(f"answers other than 200: {report.statuses}")
        self._acknowledged = [old + new for old, new in zip(self._acknowledged, report.stored, strict=True)]
        return report

    def _round(self, report: Report, cpu_seconds: float) -> Round:
        events = sum(count * size for count, size in zip(report.stored, self._corpus.events, strict=True))
        return Round(events, report.seconds, cpu_seconds, report.p50_ms, report.p99_ms)

    def _new_topic(self) -> str:
        name = f"bench-{uuid.uuid4().hex[:12]}"
        admin = AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 2})
        topic_spec.apply(admin, topic_spec.TopicSpec.of(name, ONE_BROKER))
        return name


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


@contextmanager
def serving(module: str, environment: dict[str, str], path: str) -> Iterator[tuple[int, psutil.Process]]:
    """Run a server until the end of the block; gives its port and process once it answers."""
    port = free_ports(["server"])["server"]
    name, *arguments = module.split()
    extra = [*arguments, str(port)] if arguments else []
    command: list[str] = [str(API_PYTHON), "-m", name, *extra]
    started = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**environment, "INGEST_PORT": str(port), "PATH": "/usr/bin:/bin"},
    )
    try:
        _await(f"http://{HOST}:{port}{path}", started)
        yield port, psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait(20)


def _await(url: str, started: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        if started.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def client(module: str, *arguments: str) -> Report:
    """Run a load generator in a process of its own."""
    command = [str(API_PYTHON), "-m", module, *arguments]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=600)
    return msgspec.json.decode(ended.stdout, type=Report)


def cpu_seconds_of(process: psutil.Process) -> float:
    """Return the processor time of a process and its children so far."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(found.user + found.system for found in times)


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


def report(rounds: dict[str, list[Round]]) -> None:
    """Print the table; the limit is the bare server's and the bare producer's processor time together."""
    limit = sum(
        statistics.median([found.cpu_seconds / found.events * 1e6 for found in rounds[name]])
        for name in ("http", "kafka")
    )
    heads = ("", "events/s", "per CPU-s", "lowest..highest", "p50 ms", "p99 ms", "CPU µs/ev", "x limit")
    print("{:28} {:>10} {:>12} {:>22} {:>7} {:>7} {:>8} {:>6}".format(*heads))
    print(_row("ingest API, durable", rounds["api"], limit))
    print(_row("bare HTTP, body dropped", rounds["http"], None))
    print(_row("bare producer, acks=all", rounds["kafka"], None))
    print(f"limit (bare HTTP + bare producer): {limit:.2f} CPU µs per event")
    print("every topic was read back: count and checksum of each body equal what was acknowledged")


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--events", type=int, default=50, help="events per request")
    parser.add_argument("--requests", type=int, default=400, help="different requests in the corpus")
    parser.add_argument("--malformed", type=float, default=0.01, help="share of malformed events")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder) / "kafka", parts=("kafka",), ports="free") as stack,
    ):
        bench = Bench(options, Path(folder), stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"])
        rounds: dict[str, list[Round]] = {"api": [], "http": [], "kafka": []}
        for number in range(options.rounds):
            for name, found in rounds.items():
                found.append(getattr(bench, name)())
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    report(rounds)


if __name__ == "__main__":
    main()
