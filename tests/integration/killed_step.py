"""One step in a process of its own that kills itself at a given point; its order comes as JSON on stdin."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from typing import Any

import msgspec
import snowflake.connector
from azure.storage.blob import BlobClient, BlobServiceClient

from include import loading, publishing, redriving, staging
from include.destinations.amplitude import Amplitude
from include.lake import Lake
from include.settings import PipelineSettings
from include.warehouse import Warehouse


class Order(msgspec.Struct):
    """What to run and where to die: at the first `doing` of the warehouse that begins so, or at a file's commit."""

    step: str
    connect: dict[str, Any]
    azure: str
    kafka: dict[str, Any]
    settings: PipelineSettings
    work: list[dict[str, Any]]
    known: list[str]
    at: str
    after: bool


def arm(order: Order) -> None:
    """Put the end of this process where the order wants it."""
    run, commit = Warehouse.run, BlobClient.commit_block_list

    def deadly_run(self: Warehouse, sql: str, values: Any = None, doing: str = "a query") -> Any:
        if doing.startswith(order.at) and not order.after:
            die()
        rows = run(self, sql, values, doing)
        if doing.startswith(order.at):
            die()
        return rows

    def deadly_commit(self: BlobClient, *args: Any, **kwargs: Any) -> Any:
        if order.at == "file" and not order.after:
            die()
        done = commit(self, *args, **kwargs)
        if order.at == "file":
            die()
        return done

    Warehouse.run = deadly_run  # type: ignore[method-assign]
    BlobClient.commit_block_list = deadly_commit  # type: ignore[method-assign]


def die() -> None:
    """End as a killed pod ends."""
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the step; reaching its end is a failure of the test."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    arm(order)
    with BlobServiceClient.from_connection_string(order.azure) as service:
        lake = Lake(service.get_container_client(order.settings.lake_container), order.settings.kafka_topic)
        if order.step == "drain":
            for piece in order.work:
                staging.drain_partitions(lake, order.kafka, order.settings, order.known, **piece)
            return
        with closing(snowflake.connector.connect(**order.connect)) as connection:
            warehouse = Warehouse(connection)
            if order.step == "load":
                loading.load_sealed(lake, warehouse, order.settings)
            elif order.step == "redrive":
                plan_ids = [str(row[0]) for row in warehouse.run("SELECT BATCH_ID FROM CONTROL.LOADS")]
                redriving.redrive(lake, warehouse, order.settings, order.known, plan_ids)
            else:
                publishing.offer(warehouse, Amplitude("http://127.0.0.1:9", "key", "secret"), order.settings)


if __name__ == "__main__":
    main()
