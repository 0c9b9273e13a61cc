"""Where the crash audit takes place: the parts, a network that can fail before them, and what a step needs to know."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from local.endpoints import azure_connection_string
from local.stack import Stack
from tests.faults.crash_proxy import HOST, Proxy
from tests.faults.crash_steps import LOG
from tests.integration.pipeline import SOURCES, Pipeline, pipeline

PARTITIONS = 4
_ONE_BROKER = {"TOPIC_REPLICATION_FACTOR": "1", "TOPIC_MIN_INSYNC_REPLICAS": "1", "TOPIC_PARTITIONS": str(PARTITIONS)}
_TOPIC = TopicSettings(partitions=PARTITIONS, replication_factor=1, min_insync_replicas=1)
# Locks of the dead go quickly, so that an audit of hundreds takes minutes.
_QUICK_LOCKS = {"LOCAL_SNOWFLAKE_IDLE_ABORT_SECONDS": "0.4", "LOCAL_SNOWFLAKE_LOCK_SECONDS": "10"}
_PATIENT = {"LOCAL_RESTART_LIMIT": "100000", "LOCAL_AMPLITUDE_IMPORT_SECONDS": "0"}
SMALL: dict[str, Any] = {
    "plan_max_envelopes": 16, "drain_max_tasks": 2, "drain_task_envelopes": 6, "chunk_max_events": 60,
    "amplitude_mode": "push", "amplitude_push_events": 60,
}  # fmt: skip
"""Several plans an interval, tasks a plan, chunks a file, requests a push."""


@dataclass
class Scene:
    """One database, container and vendor that a whole run of the pipeline fills, and the environment of its steps."""

    pipe: Pipeline
    vendor: Stack
    environ: dict[str, str]

    @property
    def vendor_url(self) -> str:
        """Where the vendor is read back."""
        return self.vendor.endpoints["LOCAL_URL_AMPLITUDE"]


@dataclass
class World:
    """The audited scene and its calm twin over one topic, and what can be done to the parts."""

    stack: Stack
    audited: Scene
    twin: Scene
    proxies: Mapping[str, Proxy]

    @property
    def servers(self) -> str:
        """Kafka's bootstrap servers."""
        return self.stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def topic(self) -> str:
        """The one topic of both scenes."""
        return self.audited.pipe.topic


@contextmanager
def world(folder: Path, topic: str) -> Iterator[World]:
    """Start everything; all of it ends with the block."""
    parts = ("kafka", "azurite", "snowflake", "amplitude")
    with ExitStack() as closing:
        stack = closing.enter_context(Stack(folder / "stack", parts, "free", {**_QUICK_LOCKS, **_PATIENT}))
        other = closing.enter_context(Stack(folder / "twin", ("amplitude",), "free", _PATIENT))
        ports = {name: int(stack.endpoints[f"LOCAL_{name.upper()}_PORT"]) for name in parts[1:]}
        proxies = {name: closing.enter_context(Proxy(port)) for name, port in ports.items()}
        servers = stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]
        topic_spec.apply(AdminClient({"bootstrap.servers": servers}), topic_spec.TopicSpec.of(topic, _TOPIC))
        sources = folder / "sources.json"
        sources.write_text(_registry())

        def scene(vendor: Stack, through: Mapping[str, int]) -> Scene:
            pipe = closing.enter_context(pipeline(stack.endpoints, stack.endpoints, stack.endpoints, topic, **SMALL))
            own = {"PIPELINE_SOURCES_FILE": str(sources), LOG: str(folder / "steps.log")}
            return Scene(pipe, vendor, environment(pipe, vendor, through) | own)

        audited = scene(stack, {name: proxy.port for name, proxy in proxies.items()})
        twin = scene(other, {**ports, "amplitude": int(other.endpoints["LOCAL_AMPLITUDE_PORT"])})
        yield World(stack, audited, twin, proxies)


def environment(pipe: Pipeline, vendor: Stack, ports: Mapping[str, int]) -> dict[str, str]:
    """Return the variables from which a DAG's step makes its settings and clients."""
    azure = {
        "connection_string": azure_connection_string(ports["azurite"]),
        "initial_backoff": 1,
        "increment_base": 1.2,
    }
    snowflake = {**pipe.connect, "port": ports["snowflake"], "network_timeout": 30}
    login = {"login": snowflake.pop("user"), "password": snowflake.pop("password"), "schema": snowflake.pop("schema")}
    amplitude = {
        **json.loads(vendor.endpoints["AIRFLOW_CONN_AMPLITUDE"]),
        "host": f"http://{HOST}:{ports['amplitude']}",
    }
    settings = {f"PIPELINE_{name.upper()}": str(value) for name, value in msgspec.structs.asdict(pipe.settings).items()}
    return {
        **settings,
        **_ONE_BROKER,
        # The connector would ask the metadata services of three clouds at every start of a process.
        "SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "true",
        "AIRFLOW_CONN_KAFKA_EVENTS": json.dumps({"conn_type": "generic", "extra": pipe.kafka}),
        "AIRFLOW_CONN_LAKE": json.dumps({"conn_type": "wasb", "extra": azure}),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "snowflake", **login, "extra": snowflake}),
        "AIRFLOW_CONN_AMPLITUDE": json.dumps(amplitude),
    }


def _registry() -> str:
    entries = [
        {"id": source, "name": source, "platform": "server", "write_key_sha256": [f"{number:064x}"]}
        for number, source in enumerate(SOURCES)
    ]
    return json.dumps({"sources": entries})
