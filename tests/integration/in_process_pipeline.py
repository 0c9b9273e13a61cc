"""Runs the DAGs' own steps in this process, so that a test can put a hand between any two of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from include import loading, publishing, sealing, staging
from include.contract import sources
from include.destinations.amplitude import Amplitude
from include.lake import Lake
from include.settings import PipelineSettings, pipeline_settings
from include.warehouse import Warehouse
from local import clients
from local.stack import Stack


@dataclass
class Pipeline:
    """The steps of one stack; each takes up everything that the step before left."""

    stack: Stack
    lake: Lake
    warehouse: Warehouse
    settings: PipelineSettings

    def stage(self) -> list[int]:
        """Plan, drain and seal everything that Kafka has now."""
        kafka = {"bootstrap.servers": self.stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]}
        known = sorted(sources.load(Path(self.settings.sources_file)).sources)
        # Past the newest record, whose timestamp is the broker's.
        end = datetime.now(UTC) + timedelta(milliseconds=50)
        work = staging.plan_work(self.lake, kafka, self.settings, (end - timedelta(seconds=1), end))
        for piece in work:
            staging.drain_partitions(self.lake, kafka, self.settings, known, **piece)
        sequences = [piece["sequence"] for piece in work]
        sealing.seal_plans(self.lake, sequences)
        return sequences

    def load(self) -> None:
        """Load everything that is sealed."""
        loading.load_sealed(self.lake, self.warehouse, self.settings)

    def offer(self) -> None:
        """Offer everything that is loaded."""
        spec = json.loads(self.stack.endpoints["AIRFLOW_CONN_AMPLITUDE"])
        publishing.offer(self.warehouse, Amplitude(spec["host"], spec["login"], spec["password"]), self.settings)

    def let_vendor_import(self) -> None:
        """Let the vendor's importer poll once; raises when it failed."""
        answer = requests.post(f"{self.stack.endpoints['LOCAL_URL_AMPLITUDE']}/_standin/poll", timeout=60).json()
        if answer["last_error"]:
            raise RuntimeError(answer["last_error"])

    def run(self) -> None:
        """Run all of it."""
        self.stage()
        self.load()
        self.offer()
        self.let_vendor_import()


@contextmanager
def pipeline(stack: Stack) -> Iterator[Pipeline]:
    """Open the clients of a stack whose vendor imports only when told."""
    settings = pipeline_settings({**stack.endpoints, "PIPELINE_PLAN_GRACE_SECONDS": "0"})
    with clients.storage(stack.endpoints) as storage, closing(clients.warehouse(stack.endpoints)) as connection:
        lake = Lake(storage.get_container_client(settings.lake_container), settings.kafka_topic)
        yield Pipeline(stack, lake, Warehouse(connection), settings)
