"""Benchmark B12: ten times the load that the API can bear, bombs and slow clients mixed in, guards on and off.

`python -m bench.overload` measures what the API stores per second with as many connections as fill it, then with ten
times as many beside clients that post bombs and clients that stop in the middle of a body. Whoever is refused comes
back at once. The limit is the same API without its guards. Every topic is read back.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
import psutil
from confluent_kafka.admin import AdminClient

from bench.ingest import ONE_BROKER, make_corpus
from bench.ingest_check import verify
from bench.ingest_load import HOST, Corpus, Report
from bench.ingest_server import cpu_seconds, run, server
from include.contract import topic_spec
from include.contract.sources import hash_key
from local.paths import API_PYTHON, ROOT
from local.stack import Stack

TARGET = 0.95
TARGET_RECOVERY_S = 1.0
TIMES = 10
_WARM_UP_SECONDS = 2.0
_SLOW_CLIENTS = 200
_BOMB_CLIENTS = 4
_NORMAL_SECONDS = 0.1
_PATIENCE_SECONDS = 20.0
_GUARDS_OFF = {
    "INGEST_MAX_IN_FLIGHT_REQUESTS": "1000000",
    "INGEST_MAX_IN_FLIGHT_BYTES": "1000000000000",
    "INGEST_IN_FLIGHT_WAIT_MS": "0",
    "INGEST_BODY_TIMEOUT_MS": "600000",
}


class Round(msgspec.Struct, frozen=True):
    """One server: events stored per second, and per CPU-second of it, at capacity and beyond; what else was seen."""

    capacity: float
    beyond: float
    capacity_per_cpu: float
    beyond_per_cpu: float
    statuses: dict[int, int]
    p99_ms: float
    most_bytes: int
    recovery_s: float

    @property
    def ratio(self) -> float:
        """Goodput beyond capacity, as a share of that at capacity."""
        return self.beyond / self.capacity


class Result(msgspec.Struct, frozen=True):
    """Rounds with the guards on and off, interleaved."""

    guarded: list[Round]
    bare: list[Round]

    @property
    def ratio(self) -> float:
        """Median with the guards on."""
        return statistics.median(one.ratio for one in self.guarded)

    @property
    def recovery_s(self) -> float:
        """Slowest with the guards on."""
        return max(one.recovery_s for one in self.guarded)


class Overload:
    """Everything that stays the same between rounds."""

    def __init__(self, folder: Path, bootstrap: str, connections: int, seconds: float) -> None:
        self._bootstrap = bootstrap
        self._connections = connections
        self._seconds = seconds
        shape = argparse.Namespace(events=50, requests=400, malformed=0.01)
        self._corpus: Corpus = make_corpus(shape)
        self._corpus_file = folder / "corpus.msgpack"
        self._corpus_file.write_bytes(msgspec.msgpack.encode(self._corpus))
        self._sources = folder / "sources.json"
        entries = [{"id": key, "name": key, "write_key_sha256": [hash_key(key)]} for key in set(self._corpus.keys)]
        self._sources.write_bytes(msgspec.json.encode({"sources": entries}))

    def round(self, settings: dict[str, str]) -> Round:
        """Measure one server on a topic of its own, verified."""
        topic = self._new_topic()
        environment = {
            "INGEST_KAFKA_BOOTSTRAP_SERVERS": self._bootstrap,
            "INGEST_KAFKA_TOPIC": topic,
            "INGEST_SOURCES_PATH": str(self._sources),
            "INGEST_LOG_LEVEL": "warning",
            "TOPIC_REPLICATION_FACTOR": "1",
            "TOPIC_MIN_INSYNC_REPLICAS": "1",
            **settings,
        }
        with server("ingest_api", environment, "/health/ready") as (port, process):
            reports = [self._load(port, 1, _WARM_UP_SECONDS)]
            cpu = [cpu_seconds(process)]
            reports.append(self._load(port, 1, self._seconds))
            cpu.append(cpu_seconds(process))
            with mischief(port, self._corpus.keys[0]), Memory(process) as memory:
                reports.append(self._load(port, TIMES, self._seconds))
                cpu.append(cpu_seconds(process))
            stored = [sum(counts) for counts in zip(*(one.stored for one in reports), strict=True)]
            verify(self._bootstrap, topic, self._corpus, stored, enveloped=True)
            recovery = self._recovery_s(port)
        at, beyond = reports[1:]
        return Round(
            self._events(at) / at.seconds, self._events(beyond) / beyond.seconds,
            self._events(at) / (cpu[1] - cpu[0]), self._events(beyond) / (cpu[2] - cpu[1]),
            beyond.statuses, beyond.p99_ms, memory.most_bytes, recovery,
        )  # fmt: skip

    def _load(self, port: int, times: int, seconds: float) -> Report:
        return run("bench.ingest_load", *self._arguments(port, times, seconds))

    def _arguments(self, port: int, times: int, seconds: float) -> list[str]:
        return [str(port), str(self._connections * times), str(seconds), str(self._corpus_file)]

    def _events(self, report: Report) -> int:
        return sum(count * size for count, size in zip(report.stored, self._corpus.events, strict=True))

    def _recovery_s(self, port: int) -> float:
        """Return the seconds from the sudden end of an overload until an answer is as quick as it should be."""
        command = [str(API_PYTHON), "-m", "bench.ingest_load", *self._arguments(port, TIMES, 60)]
        with mischief(port, self._corpus.keys[0]):
            crowd = subprocess.Popen(command, cwd=ROOT)
            time.sleep(2)
            crowd.kill()
            crowd.wait()
        began = time.monotonic()
        while time.monotonic() - began < _PATIENCE_SECONDS:
            asked = time.monotonic()
            status = _post(port, self._corpus.keys[0], self._corpus.bodies[0])
            if status == http.client.OK and time.monotonic() - asked < _NORMAL_SECONDS:
                return asked - began
        return _PATIENCE_SECONDS

    def _new_topic(self) -> str:
        name = f"bench-{uuid.uuid4().hex[:12]}"
        admin = AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 2})
        topic_spec.apply(admin, topic_spec.TopicSpec.of(name, ONE_BROKER))
        return name


class Memory:
    """The most memory that a server had in the block."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most_bytes = 0

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            family = (self._process, *self._process.children(recursive=True))
            self.most_bytes = max(self.most_bytes, sum(one.memory_info().rss for one in family))


@contextmanager
def mischief(port: int, key: str) -> Iterator[None]:
    """Let slow clients and bombs come beside the load; half of the bombs hide what they inflate to."""
    stop = threading.Event()
    honest = gzip.compress(b" " * 30_000_000)
    bombs = [honest, gzip.compress(b" " * 1_000_000) * 30]

    def throw(bomb: bytes) -> None:
        while not stop.is_set():
            if _post(port, key, bomb) == http.client.OK:
                raise RuntimeError("a bomb was taken for events")

    throwers = [threading.Thread(target=throw, args=(bombs[i % 2],), daemon=True) for i in range(_BOMB_CLIENTS)]
    with ExitStack() as opened:
        for _ in range(_SLOW_CLIENTS):
            slow = opened.enter_context(socket.create_connection((HOST, port)))
            slow.sendall(f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n".encode())
            slow.sendall(b"Content-Length: 15000\r\n\r\n{")
        for thrower in throwers:
            thrower.start()
        yield
        stop.set()
        for thrower in throwers:
            thrower.join(_PATIENCE_SECONDS)


def _post(port: int, key: str, body: bytes) -> int:
    try:
        with closing(http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_SECONDS)) as connection:
            connection.request("POST", "/v1/events", body, {"Authorization": f"Bearer {key}"})
            return connection.getresponse().status
    except OSError:
        return 0


def measure(rounds: int, connections: int = 256, seconds: float = 5.0) -> Result:
    """Run interleaved rounds with the guards on and off."""
    result = Result([], [])
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Stack(Path(folder) / "kafka", parts=("kafka",), ports="free") as stack,
    ):
        bench = Overload(Path(folder), stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"], connections, seconds)
        for _ in range(rounds):
            result.guarded.append(bench.round({}))
            result.bare.append(bench.round(_GUARDS_OFF))
    return result


def report(result: Result) -> None:
    """Print the table."""
    heads = ("", "capacity ev/s", f"at {TIMES}x ev/s", "share", "per CPU-s", "share", "p99 ms", "most MB", "recovery s")
    print("{:12} {:>14} {:>14} {:>6} {:>10} {:>6} {:>8} {:>8} {:>10}  answers".format(*heads))
    for name, rounds in (("guards on", result.guarded), ("guards off", result.bare)):
        for one in rounds:
            print(
                f"{name:12} {one.capacity:14,.0f} {one.beyond:14,.0f} {one.ratio:6.3f} "
                f"{one.beyond_per_cpu:10,.0f} {one.beyond_per_cpu / one.capacity_per_cpu:6.3f} {one.p99_ms:8.0f} "
                f"{one.most_bytes / 1e6:8.0f} {one.recovery_s:10.2f}  {one.statuses}"
            )
    print("every topic was read back: count and checksum of each body equal what was acknowledged")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=256, help="what fills the API; the overload is ten times it")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    report(measure(options.rounds, options.connections, options.seconds))


if __name__ == "__main__":
    main()
