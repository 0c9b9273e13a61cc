"""All benchmarks in one table, each with the limit of this machine beside it: `python -m bench` (`make bench`)."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys

import msgspec
import psutil

from bench import drain, growth, ingest, ingest_latency, ingest_outage, latency, load, overload

INGEST_TARGET = 250_000
LIMIT_CPU = 4.0
PEER_TARGET = 3.0
SINGLE_TARGET = 0.7


class Line(msgspec.Struct, frozen=True):
    """One line of the table."""

    name: str
    target: str
    measured: str
    limit: str
    is_met: bool


def measure_ingest(options: argparse.Namespace) -> list[Line]:
    """Measure the API in 50-event requests beside its limits and the usual way to build it (B1)."""
    rounds = ingest.measure(_shape(50), ("api", "peer", "http", "kafka"), options.rounds)
    ingest.report(rounds)
    per_cpu = {name: statistics.median(one.events / one.cpu_seconds for one in found) for name, found in rounds.items()}
    cost = ingest.cpu_cost(rounds["api"]) / (ingest.cpu_cost(rounds["http"]) + ingest.cpu_cost(rounds["kafka"]))
    times_peer = ingest.ratios(rounds["api"], rounds["peer"])
    return [
        Line(
            "ingest, durable, events/CPU-s", f">= {INGEST_TARGET:,}", f"{per_cpu['api']:,.0f}",
            f"bare RSGI {per_cpu['http']:,.0f}, bare producer {per_cpu['kafka']:,.0f}", per_cpu["api"] >= INGEST_TARGET,
        ),
        Line(
            "of it CPU of the limit, times", f"<= {LIMIT_CPU:.0f}", f"{cost:.1f}",
            "bare RSGI and bare producer together", cost <= LIMIT_CPU,
        ),
        _ratio_line("of FastAPI + aiokafka, times", PEER_TARGET, times_peer, f"the peer {per_cpu['peer']:,.0f}"),
    ]  # fmt: skip


def measure_single(options: argparse.Namespace) -> Line:
    """Measure requests of one event each against an application that does nothing (B2)."""
    rounds = ingest.measure(_shape(1), ("api", "http"), options.rounds)
    ingest.report(rounds)
    return _ratio_line(
        "one-event requests, of bare RSGI", SINGLE_TARGET, ingest.ratios(rounds["api"], rounds["http"]), "bare RSGI 1.0"
    )


def measure_ingest_latency(options: argparse.Namespace) -> Line:
    """Measure the wait for a durable answer at half of the maximum (B3)."""
    result = ingest_latency.measure(options.rounds, 5.0)
    ingest_latency.report(result)
    above = statistics.median(result.above_ms)
    api, limit = (statistics.median(one.p99_ms for one in found) for found in (result.api, result.limit))
    return Line(
        "ingest ack p99 at half load, ms", f"<= limit+{ingest_latency.ABOVE_LIMIT_MS:.0f}", f"{api:.1f}",
        f"bare producer {limit:.1f}", above <= ingest_latency.ABOVE_LIMIT_MS,
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


def measure_outage(options: argparse.Namespace) -> Line:
    """Measure a broker's outage (B5)."""
    result = ingest_outage.measure(options.outage_minutes)
    ingest_outage.report(result)
    return Line(
        f"{options.outage_minutes:g} min without a broker, lost events", "0", f"{result.lost_ids}",
        f"{result.answered_200:,} of {result.requests:,} answered 200, caught up in {result.catch_up_seconds:.0f} s",
        result.is_met,
    )  # fmt: skip


def _shape(events: int) -> argparse.Namespace:
    return argparse.Namespace(seconds=5.0, connections=256, events=events, requests=400, malformed=0.01)


def _ratio_line(name: str, target: float, found: list[float], limit: str) -> Line:
    median = statistics.median(found)
    spread = f"{limit}; rounds {min(found):.2f}..{max(found):.2f}"
    return Line(name, f">= {target:g}", f"{median:.2f}", spread, median >= target)


def measure_drain(options: argparse.Namespace) -> list[Line]:
    """Measure staging in a process of its own, imports included, beside other ways to do it (B6)."""
    result = drain.measure(options.drain_events, options.rounds, peers=tuple(drain.PEERS))
    drain.report(result)
    times = result.times("pandas_gx")
    return [
        Line(
            "drain + GX + Parquet, events/CPU-s", f">= {drain.TARGET:,}", f"{result.per_cpu_s:,.0f}",
            f"consuming alone {result.limit_per_cpu_s:,.0f}", result.per_cpu_s >= drain.TARGET,
        ),
        Line(
            "of pandas + GX, times", f">= {drain.PEER_TARGET:g}", f"{times:.1f}",
            f"of DuckDB without GX {result.times('duckdb_checks'):.1f}", times >= drain.PEER_TARGET,
        ),
    ]  # fmt: skip


def measure_load(options: argparse.Namespace) -> Line:
    """Measure COPY and MERGE on the stand-in."""
    result = load.measure(options.load_events, options.rounds)
    load.report(result)
    return Line(
        f"COPY + MERGE of {options.load_events:,} rows, s", f"<= {load.TARGET_S}", f"{result.copy_and_merge_s:.2f}",
        f"bare DuckDB {statistics.median(result.limit_s):.2f}", result.copy_and_merge_s <= load.TARGET_S,
    )  # fmt: skip


def measure_growth(_options: argparse.Namespace) -> Line:
    """Measure what the MERGE touches as history grows (B10)."""
    result = growth.measure(5_000)
    growth.report(result)
    most = result.touched[growth.TIMES[-1]]
    return Line(
        "rows the MERGE touches, 100x history/1x", f"<= {growth.TARGET}", f"{result.ratio:.2f}",
        f"{most.groups:,} of {most.of_groups:,} row groups of {most.days:,} days", result.ratio <= growth.TARGET,
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
    parser.add_argument("--outage-minutes", type=float, default=1.0, help="10 for the benchmark as it is defined")
    options = parser.parse_args()
    lines = measure_ingest(options)
    lines += [measure(options) for measure in (measure_single, measure_ingest_latency, measure_outage)]
    lines += measure_overload(options)
    lines += [*measure_drain(options), measure_load(options), measure_growth(options)]
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
