"""Benchmark of dedupe for ever (B10): rows that the MERGE touches as history grows 1x, 10x and 100x; never its time.

`python -m bench.growth [--events N]`. History 1x is four weeks, as far as late events reach back, each day as large as
the batch; 10x and 100x put older days before it. The rows are what the profile of the statement says it scanned: DuckDB
skips row groups by their smallest and largest value, as Snowflake skips micro-partitions, and neither could without
literal dates. That Snowflake skips as many is not measured here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from azure.storage.blob import BlobServiceClient

from bench.backlog import Job, backlog
from bench.drain import run
from include import loading
from include.lake import Lake
from include.migrate import MigrationSettings, migrate
from include.warehouse import Warehouse
from local.snowflake.account import Account
from local.snowflake.lake import Lake as StandInLake
from local.snowflake.locks import TableLocks

TARGET = 1.1
TIMES = (1, 10, 100)
DAYS = 28
# As it arrived: the oldest day first. Each day has as many rows as the batch, and ids of its own.
_HISTORY = """
INSERT INTO ANALYTICS.CORE.EVENTS BY NAME
SELECT e.* REPLACE (
    d.DAY AS OCCURRED_ON, CAST(d.DAY AS TIMESTAMP) AS OCCURRED_AT, CONCAT(e.EVENT_ID, '-', d.DAY) AS EVENT_ID
)
FROM read_parquet('{base}') e
CROSS JOIN (SELECT CAST(UNNEST(RANGE(DATE '{last}' - {days} + 1, DATE '{last}' + 1, INTERVAL 1 DAY)) AS DATE) AS DAY) d
ORDER BY d.DAY
"""


class Touched(msgspec.Struct, frozen=True):
    """One MERGE of the batch: days and rows in EVENTS before it; rows and row groups scanned, of how many groups."""

    days: int
    history: int
    rows: int
    groups: int
    of_groups: int


class Result(msgspec.Struct, frozen=True):
    """What was touched by times of history, and the batch's own rows."""

    batch: int
    touched: dict[int, Touched]

    @property
    def ratio(self) -> float:
        """Rows touched with the longest history, of those with the shortest."""
        return self.touched[TIMES[-1]].rows / self.touched[TIMES[0]].rows


class Watched:
    """A DuckDB connection that keeps the profile of its last INSERT into EVENTS, which is what the MERGE becomes."""

    def __init__(self, duck: duckdb.DuckDBPyConnection, file: Path) -> None:
        self._duck, self._file = duck, file
        self._duck.execute("PRAGMA enable_profiling='json'")
        self._duck.execute(f"PRAGMA profiling_output='{file}'")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all that a connection has
        return getattr(self._duck, name)

    def cursor(self) -> Watched:
        """Return another connection to the same database."""
        return Watched(self._duck.cursor(), self._file)

    def execute(self, sql: str, *values: Any) -> Watched:  # noqa: ANN401 - as DuckDB takes them
        """Run, and look at what was profiled; the statement behind it would write over it."""
        self._duck.execute(sql, *values)
        if sql.startswith("INSERT INTO ") and ".EVENTS " in sql[:60]:
            self._file.rename(_kept(self._file))
        return self


def _kept(file: Path) -> Path:
    return file.with_suffix(".merge.json")


def measure(events: int) -> Result:
    """Stage the events once, and load them into databases with more and more history."""
    with (
        backlog(events, ("kafka", "azurite")) as (_, job),
        BlobServiceClient.from_connection_string(job.azure) as service,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
    ):
        service.create_container(job.settings.lake_container)
        staged = run("drain", job)
        base = Path(folder) / "base.parquet"
        _keep(job, base)
        return Result(staged.events, {times: _touched(job, base, DAYS * times) for times in TIMES})


def _keep(job: Job, base: Path) -> None:
    """Load the batch once and keep its rows as a file."""
    with _account(job) as account:
        _load(job, account)
        account.duck_conn.execute(f"COPY ANALYTICS.CORE.EVENTS TO '{base}'")


def _touched(job: Job, base: Path, days: int) -> Touched:
    with _account(job) as account:
        account.duck_conn.execute(_HISTORY.format(base=base, last=job.interval_end.date(), days=days))
        account.duck_conn.execute("CHECKPOINT ANALYTICS")
        counted = account.duck_conn.execute("SELECT COUNT(*) FROM ANALYTICS.CORE.EVENTS").fetchone()
        profile = _load(job, account)
    return Touched(
        days, counted[0] if counted else 0, profile["total_rows_scanned"],
        profile["total_row_groups_scanned"], profile["total_row_groups_to_scan"],
    )  # fmt: skip


class SmallGroups(Account):
    """The stand-in's engine with row groups that are small beside a day, as micro-partitions are beside a real one."""

    def _attach(self, file: Path) -> None:
        self.duck_conn.execute(f"ATTACH '{file}' AS \"{file.stem}\" (ROW_GROUP_SIZE 2048)")


@contextmanager
def _account(job: Job) -> Iterator[Account]:
    """Open the stand-in's engine in this process, migrated, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        account = SmallGroups(Path(folder), TableLocks(10.0, 10.0), StandInLake(job.azure))
        with closing(account):
            url = f"azure://devstoreaccount1.blob.core.windows.net/{job.settings.lake_container}/"
            with closing(account.connect()) as session:
                migrate(Warehouse(session), MigrationSettings(lake_url=url))  # type: ignore[arg-type]
            yield account


def _load(job: Job, account: Account) -> dict[str, Any]:
    with (
        BlobServiceClient.from_connection_string(job.azure) as service,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
    ):
        profile = Path(folder) / "profile.json"
        plain, watched = account.duck_conn, Watched(account.duck_conn.cursor(), profile)
        account.duck_conn = watched  # type: ignore[assignment]
        with closing(account.connect("ANALYTICS", "CORE")) as session:
            lake = Lake(service.get_container_client(job.settings.lake_container), job.settings.kafka_topic)
            loading.load_sealed(lake, Warehouse(session), job.settings)  # type: ignore[arg-type]
        account.duck_conn = plain
        found: dict[str, Any] = json.loads(_kept(profile).read_text())["query"]
        return found


def report(result: Result) -> None:
    """Print what was measured."""
    print(f"a batch of {result.batch:,} events into EVENTS; rows and row groups that its MERGE scanned")
    for times, one in result.touched.items():
        where = f"{one.days:,} days, {one.history:,} rows"
        print(f"    history {times:>3}x ({where}): {one.rows:,} rows, {one.groups:,} of {one.of_groups:,} groups")
    print(f"target {TARGET} times, found {result.ratio:.3f}")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000)
    report(measure(parser.parse_args().events))


if __name__ == "__main__":
    main()
