"""Benchmark B13: a whole day of 30 M events that waits in Kafka, until it is in `EVENTS`, by the steps of the two DAGs.

`python -m bench.day [--events N] [--workers N]`: one run of stage_events after an outage of a day (plan, drain tasks
each in a process of its own, seal), then load_events. Airflow itself is left out. What arrived is counted and summed up
by a query of the benchmark's own. The limit is one consumer that reads the bytes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import psutil
from azure.storage.blob import BlobServiceClient

from bench.backlog import Job, new_job
from bench.day_traffic import BASE, PLACES, fill, summed
from bench.drain import run
from bench.load import database
from include import loading, sealing, staging
from include.contract import sources
from include.contract.kafka_settings import TopicSettings
from include.lake import Lake
from include.warehouse import Warehouse
from local.stack import Stack

EVENTS = 30_000_000
TARGET_S = 600.0
PARTITIONS = 12
_CHECKSUM = " + ".join(f"ASCII(SUBSTR(EVENT_ID, {place + 1}, 1)) * {BASE**place}" for place in range(PLACES))
_ARRIVED = f"SELECT COUNT(*), SUM({_CHECKSUM}) FROM CORE.EVENTS"  # noqa: S608


class Result(msgspec.Struct):
    """Seconds and CPU seconds by step, and by part of the stack."""

    events: int
    seconds: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    cpu_s: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    limit_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Seconds from the plan to the last row."""
        return sum(self.seconds.values())


def measure(events: int, workers: int) -> Result:
    """Produce a day, take it through, and compare what arrived with what was produced."""
    result = Result(events)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Stack(Path(folder) / "state", parts=("kafka", "azurite", "snowflake"), ports="free") as stack,
        BlobServiceClient.from_connection_string(stack.endpoints["LOCAL_AZURE_CONNECTION_STRING"]) as service,
        ProcessPoolExecutor(workers, get_context("spawn"), max_tasks_per_child=1) as pool,
    ):
        job = new_job(stack, TopicSettings(partitions=PARTITIONS, replication_factor=1, min_insync_replicas=1))
        began = time.monotonic()
        sent = summed(list(pool.map(partial(fill, job, events // workers), range(workers))))
        print(f"{sent.events:,} events produced in {time.monotonic() - began:.0f} s", flush=True)
        job = msgspec.structs.replace(job, interval_end=datetime.now(UTC))
        lake = Lake(service.create_container(job.settings.lake_container), job.settings.kafka_topic)
        with database(stack, job, "BENCH") as connection:
            warehouse = Warehouse(connection)
            _take_through(result, stack, job, lake, warehouse, pool)
            ((count, checksum),) = warehouse.run(_ARRIVED)
        if (count, int(checksum)) != (sent.valid, sent.checksum):
            raise RuntimeError(f"EVENTS has {count:,} rows (sum {checksum}), {sent} was produced")
        result.limit_s = run("consume", job).seconds
    return result


def _take_through(
    result: Result, stack: Stack, job: Job, lake: Lake, warehouse: Warehouse, pool: ProcessPoolExecutor
) -> None:
    kafka = {"bootstrap.servers": job.kafka}
    known = sorted(sources.load(Path(job.settings.sources_file)).sources)
    with _timed(result, stack, "plan"):
        work = staging.plan_work(lake, kafka, job.settings, job.interval)
    with _timed(result, stack, "drain"):
        ended = list(pool.map(partial(_drain, job, known), work))
        result.cpu_s["drain: tasks"] = sum(spent for _, spent in ended)
    with _timed(result, stack, "seal"):
        sealing.seal_plans(lake, sorted({piece["sequence"] for piece in work}))
    with _timed(result, stack, "load"):
        loading.load_sealed(lake, warehouse, job.settings)
    print(f"{len(work)} drain tasks, {sum(rows for rows, _ in ended):,} rows", flush=True)


def _drain(job: Job, known: list[str], work: dict[str, Any]) -> tuple[int, float]:
    """Run one drain task in a process of its own, as Airflow does; returns rows and CPU seconds, imports included."""
    with BlobServiceClient.from_connection_string(job.azure) as service:
        lake = Lake(service.get_container_client(job.settings.lake_container), job.settings.kafka_topic)
        rows = staging.drain_partitions(lake, {"bootstrap.servers": job.kafka}, job.settings, known, **work)
    return rows, time.process_time()


@contextmanager
def _timed(result: Result, stack: Stack, step: str) -> Iterator[None]:
    began, before = time.monotonic(), _cpu_s(stack)
    yield
    result.seconds[step] = time.monotonic() - began
    for name, spent in _cpu_s(stack).items():
        result.cpu_s[f"{step}: {name}"] = spent - before[name]


def _cpu_s(stack: Stack) -> dict[str, float]:
    """CPU seconds so far, of the parts and of this process."""
    used = {part.name: sum(psutil.Process(part.pid).cpu_times()[:2]) for part in stack.status() if part.pid}
    return used | {"plan, seal and load": time.process_time()}


def report(result: Result) -> None:
    """Print what was measured."""
    for step, seconds in result.seconds.items():
        print(f"{step:8} {seconds:7.1f} s")
    for name, spent in sorted(result.cpu_s.items(), key=lambda item: -item[1]):
        if spent >= 1:
            print(f"    {spent:7.1f} CPU s  {name}")
    print(f"{result.events:,} events in {result.total_s:.0f} s, target {TARGET_S:.0f}; limit {result.limit_s:.0f} s")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    report(measure(options.events, options.workers))


if __name__ == "__main__":
    main()
