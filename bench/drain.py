"""Benchmark of staging: drain + Great Expectations + Parquet to Azurite, in events per CPU-second of the whole task.

`python -m bench.drain [--events N] [--rounds N] [--profile] [--without-peers]`; the limit is a process that consumes
the bytes only. The peers do the same work as it is usually written, and must find as many events valid.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from azure.storage.blob import BlobServiceClient

from bench.backlog import Job, backlog
from bench.drain_task import Usage
from local.paths import PYTHON, ROOT

TARGET = 120_000
PEER_TARGET = 6.0
PEERS = {"pandas_gx": "peer: pandas + Great Expectations", "duckdb_checks": "peer: DuckDB, checks in SQL, no GX"}


class Result(msgspec.Struct, frozen=True):
    """Rounds of the task, of its limit and of its peers."""

    drain: list[Usage]
    limit: list[Usage]
    peers: dict[str, list[Usage]]

    @property
    def per_cpu_s(self) -> float:
        """Events per CPU-second of the whole task, imports included, median."""
        return statistics.median(one.events / one.cpu_s for one in self.drain)

    @property
    def limit_per_cpu_s(self) -> float:
        """The same of consuming alone."""
        return statistics.median(one.events / one.cpu_s for one in self.limit)

    def times(self, peer: str) -> float:
        """How many times the events per CPU-second of a peer, median of the rounds."""
        pairs = zip(self.drain, self.peers[peer], strict=True)
        return statistics.median(other.cpu_s / other.events * one.events / one.cpu_s for one, other in pairs)


def measure(events: int, rounds: int, *, peers: Sequence[str] = (), profile: bool = False) -> Result:
    """Drain the same backlog `rounds` times, each into a lake of its own, and let limit and peers do it as often."""
    result = Result([], [], {name: [] for name in peers})
    with backlog(events, ("kafka", "azurite")) as (_, job):
        for number in range(rounds):
            fresh = _with_lake(job, f"round-{number}")
            result.drain.append(run("drain", fresh, *(["--profile"] if profile else [])))
            result.limit.append(run("consume", fresh))
            for name, found in result.peers.items():
                found.append(run(name, fresh))
    _check(result)
    return result


def _check(result: Result) -> None:
    counts = {(one.events, one.valid) for found in (result.drain, *result.peers.values()) for one in found}
    if len(counts) > 1:
        raise RuntimeError(f"drain and peers did not do the same work: (events, valid) are {counts}")


def run(kind: str, job: Job, *options: str) -> Usage:
    """Run one measured process."""
    command = [str(PYTHON), "-m", "bench.drain_task", kind, *options]
    ended = subprocess.run(command, cwd=ROOT, input=msgspec.json.encode(job), stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(ended.stdout, type=Usage)


def _with_lake(job: Job, name: str) -> Job:
    with BlobServiceClient.from_connection_string(job.azure) as service:
        service.create_container(name)
    settings = msgspec.structs.replace(job.settings, lake_container=name)
    return msgspec.structs.replace(job, settings=settings, interval_end=datetime.now(UTC))


def report(result: Result) -> None:
    """Print what was measured."""
    heads = ("", "events", "CPU s", "wall s", "ev/CPU-s", "no imports", "RSS MiB", "B/ev")
    print("{:34} {:>10} {:>7} {:>7} {:>10} {:>10} {:>8} {:>6}".format(*heads))
    for one in result.drain:
        print(_line("drain + GX + Parquet to Azurite", one))
    for one in result.limit:
        print(_line("limit: consume the bytes only", one))
    for name, found in result.peers.items():
        for one in found:
            print(_line(PEERS[name], one))
        print(f"{result.times(name):.1f} times {PEERS[name]}")
    print(f"target {TARGET:,} events per CPU-second, median {result.per_cpu_s:,.0f}")


def _line(name: str, one: Usage) -> str:
    without_imports = one.events / (one.cpu_s - one.imports_cpu_s)
    return (
        f"{name:34} {one.events:>10,} {one.cpu_s:>7.2f} {one.seconds:>7.2f} {one.events / one.cpu_s:>10,.0f} "
        f"{without_imports:>10,.0f} {one.max_rss_mib:>8,.0f} {one.bytes / one.events:>6.0f}"
    )


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print where the task's time goes (slows it down)")
    parser.add_argument("--without-peers", action="store_true")
    options = parser.parse_args()
    peers = () if options.without_peers else tuple(PEERS)
    report(measure(options.events, options.rounds, peers=peers, profile=options.profile))


if __name__ == "__main__":
    main()
