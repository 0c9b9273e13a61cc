"""A real ingest API process for tests, and a reader of its topic that shares no code with it."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from confluent_kafka import Consumer, Message, TopicPartition

from local.paths import API_PYTHON, ROOT
from local.ports import free_ports

KEY = "test-key-1"
OFF_KEY = "test-key-off"
EVENT = {"event_id": "e-1", "event_name": "opened", "device_id": "d-1", "occurred_at": "2026-11-22T10:00:00Z"}
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ApiServer:
    """`python -m ingest_api` on a free port; stopped, and its output kept, at the end of the `with` block."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.port = free_ports(["ingest"])["ingest"]
        self._log = folder / "ingest.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("INGEST_", "TOPIC_"))},
            "TOPIC_REPLICATION_FACTOR": "1",
            "TOPIC_MIN_INSYNC_REPLICAS": "1",
            "INGEST_PORT": str(self.port),
            "PYTHONWARNINGS": "error",
            **environment,
        }
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [API_PYTHON, "-m", "ingest_api"], cwd=ROOT, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
        self._wait_until(lambda: self.get("/health/live").status == 200)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """End the process and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def log(self) -> str:
        """Return what the process has written."""
        return self._log.read_text()

    def await_ready(self) -> None:
        """Return once the API says that it can keep its promise."""
        self._wait_until(lambda: self.get("/health/ready").status == 200)

    def get(self, path: str) -> Answer:
        """Get a path."""
        return self.request("GET", path)

    def post(self, body: bytes | Mapping[str, Any], **headers: str) -> Answer:
        """Post to /v1/events with the test's key unless other headers are given."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", "/v1/events", data, {"Authorization": f"Bearer {KEY}", **named})

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send any request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if condition():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the ingest API did not get there; its log:\n{self.log()}")


@dataclass(frozen=True)
class Record:
    """A Kafka record as it lies in the topic."""

    key: bytes | None
    value: bytes
    headers: dict[str, str]


def write_sources(path: Path) -> Path:
    """Write a sources file with the test's key and a source that is switched off."""
    entries = [
        {"id": "test-app", "name": "Test", "write_key_sha256": [hashlib.sha256(KEY.encode()).hexdigest()]},
        {
            "id": "off-app",
            "name": "Off",
            "enabled": False,
            "write_key_sha256": [hashlib.sha256(OFF_KEY.encode()).hexdigest()],
        },
    ]
    path.write_text(json.dumps({"sources": entries}))
    return path


def read_topic(bootstrap: str, topic: str) -> list[Record]:
    """Read a topic from its first to its last record."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "test", "isolation.level": "read_uncommitted", "log_level": 2}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        starts = [TopicPartition(topic, partition, 0) for partition in partitions]
        wanted = sum(consumer.get_watermark_offsets(start, timeout=10)[1] for start in starts)
        consumer.assign(starts)
        records: list[Record] = []
        while len(records) < wanted:
            for message in consumer.consume(wanted - len(records), timeout=10):
                if message.error():
                    raise AssertionError(message.error())
                records.append(_record(message))
        return records
    finally:
        consumer.close()


def _record(message: Message) -> Record:
    pairs = cast("list[tuple[str, bytes]]", message.headers() or [])
    return Record(message.key(), message.value() or b"", {name: value.decode() for name, value in pairs})
