"""The physical limits beside the ingest API: a bare HTTP server that drops the body, and a bare producer.

`python -m bench.ingest_limit http PORT` serves; `python -m bench.ingest_limit kafka BOOTSTRAP TOPIC SECONDS WINDOW
CORPUS` produces the same bodies with the same promise and prints one JSON object.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from bench.ingest_load import HOST, Corpus, Report


class _Body(Protocol):
    def __call__(self) -> Awaitable[bytes]: ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...


async def app(_scope: object, protocol: _Body) -> None:
    """Read the body and answer."""
    await protocol()
    protocol.response_bytes(200, [("content-type", "application/json")], b'{"accepted":50,"quarantined":[]}')


def serve(port: int) -> None:
    """Serve the bare application the way the API is served."""
    from granian import Granian  # noqa: PLC0415 - the producer half runs without granian
    from granian.constants import HTTPModes, Interfaces, Loops  # noqa: PLC0415

    Granian(
        "bench.ingest_limit:app",
        address=HOST,
        port=port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=4096,
        backpressure=4096,
        log_enabled=False,
    ).serve()


class Pump:
    """Keeps a window of bodies in flight through one idempotent producer."""

    def __init__(self, bootstrap: str, topic: str, corpus: Corpus) -> None:
        properties: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 2,
            "message.max.bytes": 8 * 1024 * 1024,
        }
        self._producer = Producer(properties)
        self._topic = topic
        self._bodies = corpus.bodies
        self._failed: list[str] = []
        self.sent = [0] * len(corpus.bodies)

    def run(self, seconds: float, window: int) -> None:
        """Produce until the time is over, then wait for every acknowledgement."""
        deadline, number = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            while len(self._producer) >= window:
                self._producer.poll(0.001)
            self._producer.produce(self._topic, self._bodies[number], on_delivery=self._delivered)
            self.sent[number] += 1
            number = (number + 1) % len(self._bodies)
        if self._producer.flush(30) or self._failed:
            raise RuntimeError(f"not acknowledged: {self._failed[:3]}")

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(str(error))


def produce(bootstrap: str, topic: str, seconds: float, window: int, corpus_file: str) -> None:
    """Run the pump and print its report in the load generator's form."""
    pump = Pump(bootstrap, topic, msgspec.msgpack.decode(Path(corpus_file).read_bytes(), type=Corpus))
    began, began_cpu = time.monotonic(), time.process_time()
    pump.run(seconds, window)
    report = Report(
        statuses={200: sum(pump.sent)},
        stored=pump.sent,
        seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - began_cpu,
        p50_ms=0.0,
        p99_ms=0.0,
    )
    print(msgspec.json.encode(report).decode())


if __name__ == "__main__":
    if sys.argv[1] == "http":
        serve(int(sys.argv[2]))
    else:
        produce(sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
