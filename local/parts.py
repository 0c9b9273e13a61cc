"""The table of the stack's parts: what starts each one, what it waits for, and how to see that it serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from include.errors import SetupError
from local import airflow_settings, kafka, probes
from local.paths import API_PYTHON, AZURITE_MAIN, PYTHON, node
from local.ports import HOST

EVERYTHING = ("kafka", "azurite", "snowflake", "amplitude", "topic", "lake", "warehouse", "ingest", "airflow")
_AIRFLOW_PARTS = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")


_AIRFLOW = (str(PYTHON), "-m", "airflow")


@dataclass(frozen=True)
class Part:
    """A program of the stack: a service when it has a probe, else a step that runs to its end."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    """Parts without which this one cannot run: chosen with it and ready before it."""
    after: tuple[str, ...] = ()
    """Parts that come first where they were chosen too."""
    probe: probes.Probe | None = None
    port: str | None = None
    is_done: Callable[[], bool] = lambda: False
    """For a step: whether an earlier start of the stack already did it."""
    ready_seconds: float = 180.0
    stop_seconds: int = 15
    stop_wave: int = 0
    """What writes stops first (0), then what queries (1), then what stores (2)."""


def choose(parts: Mapping[str, Part], wanted: Iterable[str]) -> dict[str, Part]:
    """Return the wanted parts and all that they need, in the table's order."""
    chosen: set[str] = set()
    pending = [name for entry in wanted for name in (_AIRFLOW_PARTS if entry == "airflow" else (entry,))]
    while pending:
        name = pending.pop()
        if name not in parts:
            raise SetupError(f"The stack has no part {name!r}; choose from {', '.join([*parts, 'airflow'])}.")
        if name not in chosen:
            chosen.add(name)
            pending += parts[name].needs
    return {name: part for name, part in parts.items() if name in chosen}


def catalogue(state: Path, endpoints: Mapping[str, str]) -> dict[str, Part]:
    """Return every part of the stack with this state and these endpoints, by name."""
    ports = {name: int(value) for name, value in endpoints.items() if name.endswith("_PORT")}
    table = [
        *_storage(state, ports),
        *_stand_ins(state, ports),
        *_preparation(),
        *_ingest(ports),
        *_airflow(state, ports),
    ]
    return {part.name: part for part in table}


def temporary(state: Path) -> Path:
    """Return the folder for what a part writes in passing; emptied at every start of the stack."""
    return state / "run" / "tmp"


def _storage(state: Path, ports: Mapping[str, int]) -> list[Part]:
    folder, azurite = state / "kafka", state / "azurite"
    azurite_options = ("--location", str(azurite), "--blobHost", HOST, "--blobPort", str(ports["LOCAL_AZURITE_PORT"]))
    quiet = ("--skipApiVersionCheck", "--disableTelemetry", "--silent")
    return [
        Part(
            "kafka-format",
            (str(PYTHON), "-m", "local.kafka", str(folder)),
            is_done=lambda: kafka.is_formatted(folder),
        ),
        Part(
            "kafka",
            kafka.command(folder),
            needs=("kafka-format",),
            probe=probes.kafka(ports["LOCAL_KAFKA_PORT"]),
            port="LOCAL_KAFKA_PORT",
            stop_wave=2,
        ),
        Part(
            "azurite",
            (str(node()), str(AZURITE_MAIN), *azurite_options, *quiet),
            probe=probes.http_status(ports["LOCAL_AZURITE_PORT"], "/", any_answer=True),
            port="LOCAL_AZURITE_PORT",
            stop_wave=2,
        ),
    ]


def _stand_ins(state: Path, ports: Mapping[str, int]) -> list[Part]:
    return [
        Part(
            "snowflake",
            # Its library makes a temporary folder when it is imported, which a stop at that moment leaves behind.
            ("env", f"TMPDIR={temporary(state)}", str(PYTHON), "-m", "local.snowflake"),
            probe=probes.http_status(ports["LOCAL_SNOWFLAKE_PORT"], "/", any_answer=True),
            port="LOCAL_SNOWFLAKE_PORT",
            stop_wave=1,
        ),
        Part(
            "amplitude",
            (str(PYTHON), "-m", "local.amplitude"),
            after=("warehouse",),
            probe=probes.http_status(ports["LOCAL_AMPLITUDE_PORT"], "/health"),
            port="LOCAL_AMPLITUDE_PORT",
        ),
    ]


def _preparation() -> list[Part]:
    return [
        Part("topic", (str(PYTHON), "-m", "include.contract.topic_spec", "apply"), needs=("kafka",)),
        Part("lake", (str(PYTHON), "-m", "local.lake"), needs=("azurite",)),
        Part("warehouse", (str(PYTHON), "-m", "include.migrate"), needs=("snowflake",), after=("lake",)),
    ]


def _ingest(ports: Mapping[str, int]) -> list[Part]:
    return [
        Part(
            "ingest",
            (str(API_PYTHON), "-m", "ingest_api"),
            needs=("topic",),
            probe=probes.http_status(ports["LOCAL_INGEST_PORT"], "/health/ready"),
            port="LOCAL_INGEST_PORT",
        )
    ]


def _airflow(state: Path, ports: Mapping[str, int]) -> list[Part]:
    port = ports["LOCAL_AIRFLOW_PORT"]
    api_server = Part(
        "airflow-api-server",
        (*_AIRFLOW, "api-server"),
        needs=("airflow-db",),
        # The first post matters more than the first look at a page, and both compete for the processor.
        after=("ingest",),
        probe=probes.http_status(port, "/api/v2/monitor/health"),
        port="LOCAL_AIRFLOW_PORT",
        ready_seconds=300.0,
    )
    components = [
        # Tasks speak to the API server, so none is scheduled before it serves.
        _component(port, "scheduler", "airflow-api-server", "--skip-serve-logs"),
        _component(port, "dag-processor", "airflow-db"),
        _component(port, "triggerer", "airflow-db", "--skip-serve-logs"),
    ]
    home = state / "airflow"
    migrate = Part(
        "airflow-db",
        (str(PYTHON), "-m", "local.airflow_settings"),
        is_done=lambda: airflow_settings.is_migrated(home),
        ready_seconds=300.0,
    )
    return [migrate, api_server, *components]


def _component(port: int, name: str, need: str, *options: str) -> Part:
    # Task logs are read from the disk they were written to; log servers would listen on every interface.
    return Part(
        f"airflow-{name}",
        (*_AIRFLOW, name, *options),
        needs=(need,),
        after=("ingest", "lake", "warehouse"),
        probe=probes.airflow_component(port, name.replace("-", "_")),
        ready_seconds=300.0,
    )
