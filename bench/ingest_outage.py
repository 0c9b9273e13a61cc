"""Benchmark B5: the broker is away while clients go on at ten times the reference load, and everything must be there.

`python -m bench.ingest_outage [--minutes 10]`: before, during and after the outage every request has events of its own;
afterwards a reader of its own looks for each acknowledged event id in the topic.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from itertools import islice
from pathlib import Path

import msgspec

from bench.ingest import READY, START, api_environment, new_topic, write_sources
from bench.ingest_check import event_ids, stored_ids
from bench.ingest_load import HOST, Corpus, Report
from bench.ingest_server import server
from local.paths import API_PYTHON, ROOT
from local.stack import Stack
from local.traffic import TrafficConfig, generate

EVENTS_PER_SECOND = 3_472.0
"""Ten times the reference, 30 M events a day."""
_EVENTS = 50
_BEFORE_SECONDS = 10.0
_AFTER_SECONDS = 120.0
"""The load goes on for so long after the outage, or as long as the outage was: catching up is part of the load."""
_CONNECTIONS = 512
_SPOOLED = "ingest_spool_waiting_records "
_POLL_SECONDS = 0.25


class Result(msgspec.Struct, frozen=True):
    """What clients met, and what the topic has."""

    outage_seconds: float
    catch_up_seconds: float
    most_spooled: int
    requests: int
    answered_200: int
    acknowledged_ids: int
    lost_ids: int
    repeated_ids: int
    p99_ms: float

    @property
    def is_met(self) -> bool:
        """Say whether nothing was refused or lost and the spool was empty sooner than the outage had lasted."""
        all_answered = self.answered_200 == self.requests and self.most_spooled > 0
        return all_answered and self.lost_ids == 0 and self.catch_up_seconds < self.outage_seconds


def measure(minutes: float, rate: float = EVENTS_PER_SECOND) -> Result:
    """Measure one outage."""
    outage = minutes * 60
    seconds = _BEFORE_SECONDS + outage + min(outage, _AFTER_SECONDS)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        corpus = _corpus(round(rate / _EVENTS * seconds))
        (folder / "corpus.msgpack").write_bytes(msgspec.msgpack.encode(corpus))
        with Stack(folder / "state", parts=("kafka",), ports="free") as stack:
            bootstrap = stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
            topic = new_topic(bootstrap)
            sources = write_sources(corpus, folder / "sources.json")
            environment = {**api_environment(bootstrap, topic, sources), "INGEST_SPOOL_DIR": str(folder / "spool")}
            with server("ingest_api", environment, READY) as (port, _):
                client = _start_client(port, rate / _EVENTS, seconds, folder / "corpus.msgpack")
                try:
                    most, caught_up = _break(stack, port, outage)
                    report = msgspec.json.decode(client.communicate(timeout=seconds + 120)[0], type=Report)
                finally:
                    client.kill()
                _await_empty(port, outage)
            return _result(outage, caught_up, most, report, corpus, stored_ids(bootstrap, topic))


def _corpus(requests: int) -> Corpus:
    """Make requests of which none is sent twice."""
    config = TrafficConfig(
        seed=5, start=START, events_per_request=_EVENTS, malformed_ratio=0.01, retry_ratio=0.0, daily_curve=False
    )
    planned = list(islice(generate(config), requests))
    return Corpus(
        [request.body for request in planned],
        [request.source_id for request in planned],
        [len(request.events) for request in planned],
    )


def _start_client(port: int, rate: float, seconds: float, corpus: Path) -> subprocess.Popen[bytes]:
    arguments = [str(port), str(_CONNECTIONS), str(rate), str(seconds), str(corpus)]
    command = [str(API_PYTHON), "-m", "bench.ingest_open", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def _break(stack: Stack, port: int, outage: float) -> tuple[int, float]:
    """Kill the broker, start it after the outage; returns the most that was spooled, and how long that took to go."""
    time.sleep(_BEFORE_SECONDS)
    stack.kill("kafka")
    ends_at = time.monotonic() + outage
    while time.monotonic() < ends_at:
        time.sleep(_POLL_SECONDS)
    most = _spooled(port)
    stack.start_part("kafka")
    began = time.monotonic()
    _await_empty(port, outage)
    return most, time.monotonic() - began


def _await_empty(port: int, outage: float) -> None:
    """Wait until the spool is empty; raises TimeoutError after ten times the outage."""
    last_look = time.monotonic() + 10 * outage
    while _spooled(port):
        if time.monotonic() > last_look:
            raise TimeoutError(f"{_spooled(port)} records are still in the spool")
        time.sleep(_POLL_SECONDS)


def _spooled(port: int) -> int:
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return int(float(next(line for line in lines if line.startswith(_SPOOLED)).removeprefix(_SPOOLED)))


def _result(outage: float, caught_up: float, most: int, report: Report, corpus: Corpus, found: Counter[str]) -> Result:
    acknowledged = {
        event_id
        for body, count in zip(corpus.bodies, report.stored, strict=True)
        if count
        for event_id in event_ids(gzip.decompress(body))
    }
    return Result(
        outage_seconds=outage,
        catch_up_seconds=caught_up,
        most_spooled=most,
        requests=sum(report.statuses.values()),
        answered_200=report.statuses.get(200, 0),
        acknowledged_ids=len(acknowledged),
        lost_ids=len(acknowledged - found.keys()),
        repeated_ids=sum(1 for event_id in acknowledged if found[event_id] > 1),
        p99_ms=report.p99_ms,
    )


def report(result: Result) -> None:
    """Print what was measured."""
    print(f"{result.outage_seconds / 60:.1f} minutes without a broker at {EVENTS_PER_SECOND:,.0f} events/s")
    print(f"    answered 200: {result.answered_200:,} of {result.requests:,} requests, p99 {result.p99_ms:,.0f} ms")
    print(f"    acknowledged events: {result.acknowledged_ids:,} ids, lost {result.lost_ids:,}")
    print(f"    twice in the topic (the warehouse removes them): {result.repeated_ids:,}")
    print(f"    spooled {result.most_spooled:,} records, all in Kafka {result.catch_up_seconds:.1f} s after its return")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    report(measure(parser.parse_args().minutes))


if __name__ == "__main__":
    main()
