"""The kill audit (benchmark B4): SIGKILL at random moments under load, then every acknowledged id is looked for.

`python -m tests.faults.kill_audit --report docs/kill-audit.md` runs the full size in about half an hour; `--help` says
what else. Exit status 1 when an acknowledged event is lost, one is there twice, or anything else is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka.admin import AdminClient

from include.contract import topic_spec
from include.contract.kafka_settings import TopicSettings
from local.stack import Stack
from tests.faults import audit_ledger, audit_report, auditor
from tests.faults.audit_bulk import Order
from tests.faults.audit_clients import BulkProcess, SdkLoop
from tests.faults.audit_found import Found, Size
from tests.faults.audit_strikes import Killer, Tally
from tests.faults.audit_targets import Api, Broker
from tests.integration.pipeline import Pipeline, pipeline
from tests.sdks import clients

SDK_SOURCE = "sdk-app"
SOURCES = ("phone-app", "web-app", "car-app", SDK_SOURCE)
ONE_BROKER = TopicSettings(partitions=4, replication_factor=1, min_insync_replicas=1)
_DRAIN_SECONDS = 180.0
_ADOPTED_SECONDS = 8.0
"""So long nothing waits before it counts as drained: a living process looks every 5 s for what dead ones left."""


class Audit:
    """One audit in one folder; `run` strikes and waits until everything is in the warehouse, `judge` compares."""

    def __init__(self, size: Size, seed: int, folder: Path, stack: Stack, pipe: Pipeline) -> None:
        self.size, self.seed, self.folder, self.pipe = size, seed, folder, pipe
        self.keys = {source: f"key-{source}-{seed}" for source in SOURCES}
        self.found = Found(seed, datetime.now(UTC))
        self.broker = Broker(stack)
        environment = self._environment(stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"])
        self.apis = [Api(f"api-{number}", folder, environment) for number in range(size.api_processes)]
        (folder / "ledgers").mkdir()

    def run(self) -> Found:
        """Do everything but the comparison."""
        began = time.monotonic()
        with ExitStack() as stack:
            killer = self._start_targets(stack)
            bulk, sdks = self._start_clients(stack)
            killer.run(lambda tally: self._is_enough(tally, bulk, began))
            self.found.tally, self.found.killing_seconds = killer.tally, time.monotonic() - began
            for loop in sdks:
                loop.leave()
            self.found.sdks = {loop.sdk.name: loop.finish() for loop in sdks}
            self.found.bulk = {client.name: client.finish() for client in bulk}
            self._drain()
        self.found.broker_starts = self.broker.starts
        self._read_logs()
        self._load()
        self.found.seconds = time.monotonic() - began
        return self.found

    def judge(self) -> auditor.Verdict:
        """Compare ledgers, Kafka and EVENTS; what was read stays in `found`."""
        found = self.found
        found.ledgers = {path.stem: audit_ledger.read(path) for path in sorted((self.folder / "ledgers").iterdir())}
        found.topic = auditor.read_topic(str(self.pipe.kafka["bootstrap.servers"]), self.pipe.topic)
        found.warehouse = auditor.read_warehouse(self.pipe.connect)
        found.verdict = auditor.judge(found.ledgers, found.topic, found.warehouse)
        return found.verdict

    def _environment(self, servers: str) -> dict[str, str]:
        hashes = {source: hashlib.sha256(key.encode()).hexdigest() for source, key in self.keys.items()}
        entries = [
            {"id": source, "name": source, "platform": "server", "write_key_sha256": [digest]}
            for source, digest in hashes.items()
        ]
        sources = self.folder / "sources.json"
        sources.write_text(json.dumps({"sources": entries}))
        return {
            "INGEST_KAFKA_BOOTSTRAP_SERVERS": servers,
            "INGEST_KAFKA_TOPIC": self.pipe.topic,
            "INGEST_SOURCES_PATH": str(sources),
            "INGEST_SPOOL_DIR": str(self.folder / "spool"),
        }

    def _start_targets(self, stack: ExitStack) -> Killer:
        for api in self.apis:
            api.launch()
            stack.callback(api.kill, 0)
        for target in (self.broker, *self.apis):
            # The keeper leaves before its target is ended, else it would start it again.
            stack.callback(target.leave)
            target.keep()
        killer = Killer(self.broker, self.apis, self.seed)
        killer.settle()
        return killer

    def _start_clients(self, stack: ExitStack) -> tuple[list[BulkProcess], list[SdkLoop]]:
        bulk = []
        for number in range(self.size.bulk_clients):
            bulk.append(BulkProcess(self._order(number)))
            stack.callback(bulk[-1].stop)
        sdks = []
        for name in self.size.sdks:
            ledger = self.folder / "ledgers" / f"{name}.txt"
            urls = [f"http://127.0.0.1:{api.port}" for api in self.apis]
            loop = SdkLoop(clients.BY_NAME[name], urls, self.keys[SDK_SOURCE], SDK_SOURCE, ledger, self.size.pace)
            sdks.append(loop)
            stack.callback(loop.stop)
            loop.start()
        return bulk, sdks

    def _order(self, number: int) -> Order:
        name = f"bulk-{number}"
        return Order(
            name=name,
            ports=[api.port for api in self.apis],
            keys=self.keys,
            ledger=str(self.folder / "ledgers" / f"{name}.txt"),
            counts=str(self.folder / f"{name}.json"),
            seed=self.seed + number,
            requests_per_second=self.size.events_per_second / 50 / self.size.bulk_clients,
            connections=self.size.connections,
        )

    def _is_enough(self, tally: Tally, bulk: Sequence[BulkProcess], began: float) -> bool:
        acknowledged = sum(client.counts().acknowledged_events for client in bulk)
        is_enough = tally.strikes >= self.size.strikes and acknowledged >= self.size.events
        return is_enough or time.monotonic() - began > self.size.seconds

    def _drain(self) -> None:
        """Wait until the spools are empty, also those that dead processes left, and end the API in good order."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        empty_since = time.monotonic()
        while time.monotonic() - empty_since < _ADOPTED_SECONDS:
            if waiting := {api.name: records for api in self.apis if (records := _waiting(api))}:
                empty_since = time.monotonic()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the spool still has {waiting} records after {_DRAIN_SECONDS:.0f} s")
            time.sleep(0.2)
        for api in self.apis:
            api.leave()
            if api.stop() != 0:
                raise RuntimeError(f"{api.name} did not end well:\n{api.log()[-2000:]}")
        left = [str(path.name) for path in (self.folder / "spool").rglob("*") if path.is_file()]
        if left:
            self.found.problems.append(f"left in the spool's folder: {left}")

    def _read_logs(self) -> None:
        found = self.found
        for api in self.apis:
            found.api_starts += len(api.logs)
            found.ended_by_itself += api.ended_by_itself
            for log in api.logs:
                for line in log.read_text(errors="replace").splitlines():
                    found.hear(line)

    def _load(self) -> None:
        began = time.monotonic()
        self.found.plans = len({piece["sequence"] for piece in self.pipe.stage()})
        self.pipe.load()
        self.found.load_seconds = time.monotonic() - began


def _waiting(api: Api) -> float:
    shown = re.search(r"^ingest_spool_waiting_records (\S+)$", api.get("/metrics").body.decode(), re.MULTILINE)
    if shown is None:
        raise LookupError(f"{api.name} does not say how many records wait in its spool")
    return float(shown[1])


@contextmanager
def prepared(size: Size, seed: int, folder: Path) -> Iterator[Audit]:
    """Start what an audit needs, with everything that a strike may not touch: lake, warehouse, the topic's disk."""
    env = {"LOCAL_RESTART_LIMIT": "100000"}
    with Stack(folder / "stack", parts=("kafka", "azurite", "snowflake"), ports="free", env=env) as stack:
        topic = f"audit-{seed}"
        admin = AdminClient({"bootstrap.servers": stack.endpoints["INGEST_KAFKA_BOOTSTRAP_SERVERS"]})
        topic_spec.apply(admin, topic_spec.TopicSpec.of(topic, ONE_BROKER))
        del admin
        with pipeline(stack.endpoints, stack.endpoints, stack.endpoints, topic, plan_max_envelopes=5_000) as pipe:
            pipe.known = SOURCES
            yield Audit(size, seed, folder, stack, pipe)


def main(arguments: Sequence[str]) -> int:
    """Run the full size, write the report, and return the exit status."""
    full = Size()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strikes", type=int, default=full.strikes)
    parser.add_argument("--events", type=int, default=full.events)
    parser.add_argument("--rate", type=float, default=full.events_per_second, help="events per second in all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--report", type=Path, help="Markdown file to write")
    parser.add_argument("--folder", type=Path, help="new folder to work in and to keep; a temporary one otherwise")
    options = parser.parse_args(arguments)
    size = Size(strikes=options.strikes, events=options.events, events_per_second=options.rate)
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kill-audit-")))
        audit = stack.enter_context(prepared(size, options.seed, folder.resolve()))
        audit.run()
        audit.judge()
        text = audit_report.markdown(audit.found, size)
    print(text)  # noqa: T201
    if options.report:
        options.report.write_text(text)
    return 1 if audit.found.all_problems() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
