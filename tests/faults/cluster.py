"""Three Kafka brokers on this machine, any of which a test may kill or freeze: `with Cluster(folder) as cluster`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, PartitionMetadata  # type: ignore[attr-defined]

from local import kafka
from local.ports import HOST, free_ports

NODES = (1, 2, 3)
_PATIENCE_SECONDS = 60.0


class Cluster:
    """Each node is broker and controller; internal topics have three copies as well."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports([f"{role}-{node}" for role in ("broker", "controller") for node in NODES])
        self._folders = {node: folder / f"node-{node}" for node in NODES}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.bootstrap = ",".join(f"{HOST}:{ports[f'broker-{node}']}" for node in NODES)
        voters = ",".join(f"{node}@{HOST}:{ports[f'controller-{node}']}" for node in NODES)
        for node, home in self._folders.items():
            home.mkdir(parents=True)
            own = kafka.properties(home, ports[f"broker-{node}"], ports[f"controller-{node}"])
            (home / "server.properties").write_text(own + _of_three(node, voters))

    def __enter__(self) -> Self:
        cluster_id = kafka.new_cluster_id()
        try:
            for node, home in self._folders.items():
                kafka.format_storage(home, cluster_id)
                self.launch(node)
            self._await(lambda: len(self._admin().list_topics(timeout=5).brokers) == len(NODES))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def launch(self, node: int) -> None:
        """Start a broker that does not run."""
        home = self._folders[node]
        with (home / "server.log").open("ab") as log:
            self._processes[node] = subprocess.Popen(
                kafka.command(home), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def kill(self, node: int) -> None:
        """End a broker as a power cut would."""
        self._signal(node, signal.SIGKILL)
        self._processes[node].wait()

    def freeze(self, node: int) -> None:
        """Stop a broker's clock: its connections stay open, and it comes back believing that it still leads."""
        self._signal(node, signal.SIGSTOP)

    def thaw(self, node: int) -> None:
        """Let a frozen broker go on."""
        self._signal(node, signal.SIGCONT)

    def leaders(self, topic: str) -> dict[int, int]:
        """Return the leading node of every partition, as another node than a dead one tells it."""
        return {number: partition.leader for number, partition in self._partitions(topic).items()}

    def await_in_sync(self, topic: str) -> None:
        """Return once every partition has all its copies again."""
        self._await(lambda: all(len(one.isrs) == len(NODES) for one in self._partitions(topic).values()))

    def await_leaders(self, topic: str, without: Iterable[int]) -> None:
        """Return once none of these nodes leads a partition any more."""
        gone = {-1, *without}
        self._await(lambda: not gone & set(self.leaders(topic).values()))

    def _partitions(self, topic: str) -> dict[int, PartitionMetadata]:
        return self._admin().list_topics(topic, timeout=5).topics[topic].partitions

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def _signal(self, node: int, number: signal.Signals) -> None:
        os.killpg(self._processes[node].pid, number)

    def _await(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except KafkaException:
                pass
            time.sleep(0.3)
        raise AssertionError(f"the brokers did not get there within {_PATIENCE_SECONDS:.0f} s")

    def _end(self) -> None:
        for node, process in self._processes.items():
            if process.poll() is None:
                self.kill(node)


def _of_three(node: int, voters: str) -> str:
    # A properties file's last word counts.
    lines = {
        "node.id": node,
        "controller.quorum.voters": voters,
        "offsets.topic.replication.factor": 3,
        "transaction.state.log.replication.factor": 3,
        "transaction.state.log.min.isr": 2,
        "replica.lag.time.max.ms": 4000,
        "controller.quorum.election.timeout.ms": 500,
        "controller.quorum.fetch.timeout.ms": 1000,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())
