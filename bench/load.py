"""Benchmark of loading: COPY + MERGE + ledger + outbox of 500,000 staged events on the Snowflake stand-in.

`python -m bench.load [--events N] [--rounds N]`; the limit is bare DuckDB reading the same files into a table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import snowflake.connector
from azure.storage.blob import BlobServiceClient, ContainerClient
from snowflake.connector import SnowflakeConnection

from bench.backlog import Job, backlog
from bench.drain import run
from include import loading
from include.lake import Lake
from include.migrate import MigrationSettings, migrate
from include.warehouse import Warehouse
from local.stack import Stack

TARGET_S = 3.0


class Loaded(msgspec.Struct, frozen=True):
    """One round: seconds of the whole load, and by statement."""

    rows: int
    seconds: float
    by_statement: dict[str, float]

    @property
    def copy_and_merge_s(self) -> float:
        """Seconds of the COPY and MERGE statements alone."""
        return sum(spent for doing, spent in self.by_statement.items() if doing.startswith(("COPY", "MERGE")))


class Result(msgspec.Struct, frozen=True):
    """Rounds of the load and of its limit."""

    loads: list[Loaded]
    limit_s: list[float]

    @property
    def copy_and_merge_s(self) -> float:
        """Median."""
        return statistics.median(one.copy_and_merge_s for one in self.loads)


class TimedWarehouse(Warehouse):
    """A warehouse that knows how long each statement took."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - untyped connector
        super().__init__(connection)
        self.spent: dict[str, float] = {}

    def run(self, sql: str, values: Any = None, doing: str = "a query") -> list[tuple[Any, ...]]:  # noqa: ANN401
        """Run and measure."""
        with self._timed(doing):
            return super().run(sql, values, doing)

    def insert(self, sql: str, rows: Any, doing: str) -> None:  # noqa: ANN401
        """Insert and measure."""
        with self._timed(doing):
            super().insert(sql, rows, doing)

    @contextmanager
    def _timed(self, doing: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.spent[doing] = self.spent.get(doing, 0.0) + time.monotonic() - began


def measure(events: int, rounds: int) -> Result:
    """Stage the events once, then load them `rounds` times, each into a database of its own."""
    result = Result([], [])
    with (
        backlog(events, ("kafka", "azurite", "snowflake")) as (stack, job),
        BlobServiceClient.from_connection_string(job.azure) as service,
    ):
        container = service.create_container(job.settings.lake_container)
        run("drain", job)
        for number in range(rounds):
            result.loads.append(load_once(stack, job, container, f"BENCH_{number}"))
            result.limit_s.append(_limit(container))
    return result


def load_once(stack: Stack, job: Job, container: ContainerClient, name: str) -> Loaded:
    """Load what is sealed into a new database."""
    with database(stack, job, name) as connection:
        warehouse = TimedWarehouse(connection)
        began = time.monotonic()
        totals = loading.load_sealed(Lake(container, job.settings.kafka_topic), warehouse, job.settings)
        return Loaded(totals["rows_staged"] + totals["failed_staged"], time.monotonic() - began, warehouse.spent)


@contextmanager
def database(stack: Stack, job: Job, name: str) -> Iterator[SnowflakeConnection]:
    """Make a new database of the pipeline on the stand-in, over the job's container, and connect to it."""
    connect = json.loads(stack.endpoints["LOCAL_AMPLITUDE_SNOWFLAKE"])
    connect = {name: value for name, value in connect.items() if name not in {"database", "schema"}}
    url = f"azure://devstoreaccount1.blob.core.windows.net/{job.settings.lake_container}/"
    with closing(snowflake.connector.connect(**connect)) as connection:
        migrate(Warehouse(connection), MigrationSettings(lake_url=url, database=name))
    with closing(snowflake.connector.connect(**connect, database=name, schema="CORE")) as connection:
        yield connection


def _limit(container: ContainerClient) -> float:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, closing(duckdb.connect(f"{folder}/limit.db")) as duck:
        began = time.monotonic()
        for number, name in enumerate(container.list_blob_names(name_starts_with="events/")):
            Path(folder, f"{number}.parquet").write_bytes(container.download_blob(name).readall())
        duck.execute(f"CREATE TABLE events AS SELECT * FROM read_parquet('{folder}/*.parquet')")  # noqa: S608
        return time.monotonic() - began


def report(result: Result) -> None:
    """Print what was measured."""
    for one, limit in zip(result.loads, result.limit_s, strict=True):
        times = f"COPY + MERGE {one.copy_and_merge_s:.2f} s, whole load {one.seconds:.2f} s, limit {limit:.2f} s"
        print(f"{one.rows:,} rows: {times}")

    for doing, spent in sorted(result.loads[-1].by_statement.items(), key=lambda item: -item[1])[:8]:
        print(f"    {spent:6.2f} s  {doing}")
    print(f"target {TARGET_S} s, median {result.copy_and_merge_s:.2f} s")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    report(measure(options.events, options.rounds))


if __name__ == "__main__":
    main()
