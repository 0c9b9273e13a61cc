"""The limit beside the ack latency of the ingest API: a bare idempotent producer at a fixed rate.

Run as a process of its own: `python -m bench.ingest_paced BOOTSTRAP TOPIC RATE SECONDS CORPUS`; prints one JSON object.
"""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from pathlib import Path

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from bench.ingest_load import Corpus, Report

_WARM_UP_SECONDS = 1.0


class PacedPump:
    """Produces at a rate; a thread of its own waits for the acknowledgements."""

    def __init__(self, bootstrap: str, topic: str, corpus: Corpus) -> None:
        properties: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0,
            "message.max.bytes": 8 * 1024 * 1024,
        }
        self._producer = Producer(properties)
        self._topic = topic
        self._bodies = corpus.bodies
        self._failed: list[str] = []
        self._over = threading.Event()
        self.sent = [0] * len(corpus.bodies)
        self.waited: list[float] = []

    def run(self, rate: float, seconds: float) -> None:
        """Produce for so long, then wait for every acknowledgement."""
        self._over.clear()
        poller = threading.Thread(target=self._poll)
        poller.start()
        began = time.monotonic()
        for number in range(round(rate * seconds)):
            due_at = began + number / rate
            if (early := due_at - time.monotonic()) > 0:
                time.sleep(early)
            self._produce(number % len(self._bodies), due_at)
        left = self._producer.flush(30)
        self._over.set()
        poller.join()
        if left or self._failed:
            raise RuntimeError(f"not acknowledged: {self._failed[:3]}")

    def _produce(self, body: int, due_at: float) -> None:
        self._producer.produce(self._topic, self._bodies[body], on_delivery=partial(self._delivered, due_at))
        self.sent[body] += 1

    def _poll(self) -> None:
        while not self._over.is_set():
            self._producer.poll(0.1)

    def _delivered(self, due_at: float, error: KafkaError | None, _message: Message) -> None:
        self.waited.append(time.monotonic() - due_at)
        if error is not None:
            self._failed.append(str(error))


def main(bootstrap: str, topic: str, rate: float, seconds: float, corpus_file: str) -> None:
    """Run and print the report."""
    pump = PacedPump(bootstrap, topic, msgspec.msgpack.decode(Path(corpus_file).read_bytes(), type=Corpus))
    pump.run(rate, _WARM_UP_SECONDS)
    pump.waited.clear()
    began, began_cpu = time.monotonic(), time.process_time()
    pump.run(rate, seconds)
    waited = sorted(pump.waited)
    report = Report(
        statuses={200: sum(pump.sent)},
        stored=pump.sent,
        seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - began_cpu,
        p50_ms=waited[len(waited) // 2] * 1000,
        p99_ms=waited[len(waited) * 99 // 100] * 1000,
    )
    print(msgspec.json.encode(report).decode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
