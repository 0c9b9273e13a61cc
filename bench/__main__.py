"""All benchmarks in one table, each with the limit of this machine beside it: `python -m bench` (`make bench`)."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path

import msgspec
import psutil

from bench import drain, ingest, latency, load, overload
from local.stack import Stack

INGEST_TARGET = 100_000


class Line(msgspec.Struct, frozen=True):
    """One line of the table."""

    name: str
    target: str
    measured: str
    limit: str
    is_met: bool


def measure_ingest(options: argparse.Namespace) -> Line:
    """Measure the API in 50-event requests with broker and load generator beside it."""
    shape = argparse.Namespace(seconds=5.0, connections=256, events=50, requests=400, malformed=0.01)
    rounds: dict[str, list[ingest.Round]] = {"api": [], "http": [], "kafka": []}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Stack(Path(folder) / "kafka", parts=("kafka",), ports="free") as stack,
    ):
        bench = ingest.Bench(shape, Path(folder), stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"])
        for _ in range(options.rounds):
            for name, found in rounds.items():
                found.append(getattr(bench, name)())
    ingest.report(rounds)
    rates = {name: statistics.median(one.events / one.seconds for one in found) for name, found in rounds.items()}
    return Line(
        "ingest, durable, events/s", f">= {INGEST_TARGET:,}", f"{rates['api']:,.0f}",
        f"bare HTTP {rates['http']:,.0f}, bare producer {rates['kafka']:,.0f}", rates["api"] >= INGEST_TARGET,
    )  # fmt: skip


def measure_overload(options: argparse.Namespace) -> list[Line]:
    """Measure what the API stores at ten times the load that fills it, beside bombs and slow clients."""
    result = overload.measure(options.rounds)
    overload.report(result)
    bare = statistics.median(one.ratio for one in result.bare)
    return [
        Line(f"goodput at {overload.TIMES}x overload", f">= {overload.TARGET}", f"{result.ratio:.2f}",
             f"without guards {bare:.2f}", result.ratio >= overload.TARGET),
        Line("recovery after it, s", f"< {overload.TARGET_RECOVERY_S:.0f}", f"{result.recovery_s:.2f}",
             "", result.recovery_s < overload.TARGET_RECOVERY_S),
    ]  # fmt: skip


def measure_drain(options: argparse.Namespace) -> Line:
    """Measure staging in a process of its own, imports included."""
    result = drain.measure(options.drain_events, options.rounds)
    drain.report(result)
    return Line(
        "drain + GX + Parquet, events/CPU-s", f">= {drain.TARGET:,}", f"{result.per_cpu_s:,.0f}",
        f"consuming alone {result.limit_per_cpu_s:,.0f}", result.per_cpu_s >= drain.TARGET,
    )  # fmt: skip


def measure_load(options: argparse.Namespace) -> Line:
    """Measure COPY and MERGE on the stand-in."""
    result = load.measure(options.load_events, options.rounds)
    load.report(result)
    return Line(
        f"COPY + MERGE of {options.load_events:,} rows, s", f"<= {load.TARGET_S}", f"{result.copy_and_merge_s:.2f}",
        f"bare DuckDB {statistics.median(result.limit_s):.2f}", result.copy_and_merge_s <= load.TARGET_S,
    )  # fmt: skip


def measure_latency(options: argparse.Namespace) -> list[Line]:
    """Measure freshness through a real Airflow at the rate of the reference, 30 M events a day."""
    result = latency.measure(latency.REFERENCE_RATE, options.latency_minutes)
    latency.report(result)
    inline = f"the same work inline {result.inline_s:.1f}"
    p95, spent = result.p95_s, result.orchestration_s
    return [
        Line("post -> EVENTS p95, s", f"<= {latency.TARGET_P95_S:.0f}", f"{p95:.1f}",
             f"interval 60 + {inline}", p95 <= latency.TARGET_P95_S),
        Line("of it orchestration p95, s", f"<= {latency.TARGET_ORCHESTRATION_S:.0f}", f"{spent:.1f}",
             inline, spent <= latency.TARGET_ORCHESTRATION_S),
    ]  # fmt: skip


def machine() -> str:
    """Describe the machine in one line."""
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def main() -> int:
    """Run everything; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--drain-events", type=int, default=1_000_000)
    parser.add_argument("--load-events", type=int, default=500_000)
    parser.add_argument("--latency-minutes", type=float, default=5.0)
    options = parser.parse_args()
    lines = [measure_ingest(options), *measure_overload(options), measure_drain(options), measure_load(options)]
    lines += measure_latency(options)
    print(f"\n{machine()}, load before {os.getloadavg()[0]:.1f}")
    heads = ("", "target", "measured", "", "limit of this machine")
    for line in (
        heads,
        *((one.name, one.target, one.measured, "ok" if one.is_met else "MISSED", one.limit) for one in lines),
    ):
        print("| {:38} | {:>10} | {:>10} | {:6} | {} |".format(*line))
    return 0 if all(line.is_met for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
