"""Runs one Apache Kafka broker in KRaft mode from jars, for the one-machine stack."""

from __future__ import annotations

import base64
import secrets
import shutil
import subprocess
from pathlib import Path

from local.paths import KAFKA_LIBS, java
from local.ports import HOST

_LOG4J = Path(__file__).with_name("log4j2.yaml")
_FORMATTED = ".formatted"


def properties(folder: Path, port: int, controller_port: int) -> str:
    """Return the broker's configuration: one node, every internal topic with one copy, quick to take over its log."""
    lines = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": folder / "log",
        "num.partitions": 4,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "unclean.leader.election.enable": "false",
        # A broker that was killed waits for its old session to end before it serves again.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        "message.max.bytes": 16 * 1024 * 1024,
        "replica.fetch.max.bytes": 16 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def command(folder: Path) -> tuple[str, ...]:
    """Return the command line of the broker whose state is in this folder."""
    return (*_java(), "-Xms256m", "-Xmx512m", *_log_options("INFO"), "kafka.Kafka", str(folder / "server.properties"))


def is_formatted(folder: Path) -> bool:
    """Say whether the broker's storage was formatted to the end."""
    return (folder / _FORMATTED).exists()


def new_cluster_id() -> str:
    """Return an id for a new cluster."""
    # The zero byte keeps the id from starting with "-", which the tool would take for an option.
    return base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("=")


def format_storage(folder: Path, cluster_id: str) -> None:
    """Format the broker's storage; what an interrupted format left behind is removed first (no broker ever used it)."""
    shutil.rmtree(folder / "log", ignore_errors=True)
    tool = (*_java(), *_log_options("WARN"), "kafka.tools.StorageTool", "format", "-t", cluster_id)
    subprocess.run([*tool, "-c", str(folder / "server.properties")], check=True)
    (folder / _FORMATTED).write_text(cluster_id + "\n")


def _java() -> tuple[str, ...]:
    quick = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
    return (str(java()), *quick, "-Djava.awt.headless=true", "-cp", f"{KAFKA_LIBS}/*")


def _log_options(level: str) -> tuple[str, ...]:
    return (f"-Dlog4j2.configurationFile={_LOG4J}", f"-Dkafka.log.level={level}")
