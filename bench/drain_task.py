"""The measured processes of the drain benchmark, `python -m bench.drain_task NAME`: a job in, numbers out."""

from __future__ import annotations

import cProfile
import pstats
import resource
import sys
import time
from importlib import import_module
from pathlib import Path

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """What the process did and what it took, imports included; `imports_cpu_s` is the part before the first record."""

    events: int
    bytes: int
    seconds: float
    cpu_s: float
    imports_cpu_s: float
    max_rss_mib: float
    valid: int = 0
    """Events that passed, of those that anything looked at."""


def drain(raw: bytes, *, profiled: bool) -> Usage:
    """Plan, drain, validate, stage and seal the backlog exactly as the DAG's tasks do."""
    began = time.monotonic()
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - imports are part of what is measured

    from bench.backlog import Job  # noqa: PLC0415
    from include import quality, sealing, staging  # noqa: PLC0415
    from include.contract.sources import load  # noqa: PLC0415
    from include.lake import Lake, sealed  # noqa: PLC0415

    job = msgspec.json.decode(raw, type=Job)
    quality.suite("events")
    imports = _cpu_s()
    kafka = {"bootstrap.servers": job.kafka}
    known = sorted(load(Path(job.settings.sources_file)).sources)
    profile = cProfile.Profile()
    with BlobServiceClient.from_connection_string(job.azure) as service:
        container = service.get_container_client(job.settings.lake_container)
        lake = Lake(container, job.settings.kafka_topic)
        work = staging.plan_work(lake, kafka, job.settings, job.interval)
        if profiled:
            profile.enable()
        events = sum(staging.drain_partitions(lake, kafka, job.settings, known, **piece) for piece in work)
        profile.disable()
        sealing.seal_plans(lake, [piece["sequence"] for piece in work])
        valid = sum(manifest.rows for manifest in sealed(lake, {piece["sequence"] for piece in work}))
        size = sum(blob.size for blob in container.list_blobs("events/") if job.settings.kafka_topic in blob.name)
    if profiled:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(35)
    return Usage(events, size, time.monotonic() - began, _cpu_s(), imports, _max_rss_mib(), valid)


def peer(raw: bytes, name: str) -> Usage:
    """Do the same work in another way, `bench/peers/<name>.py`."""
    began = time.monotonic()
    module = import_module(f"bench.peers.{name}")
    from bench.backlog import Job  # noqa: PLC0415 - as above
    from include.contract.sources import load  # noqa: PLC0415

    job = msgspec.json.decode(raw, type=Job)
    imports = _cpu_s()
    done = module.drain(job, sorted(load(Path(job.settings.sources_file)).sources))
    events = done.valid + done.failed
    return Usage(events, done.bytes, time.monotonic() - began, _cpu_s(), imports, _max_rss_mib(), done.valid)


def consume(raw: bytes) -> Usage:
    """Read the same records and look at none of them: the limit."""
    began = time.monotonic()
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - as above

    from bench.backlog import Job  # noqa: PLC0415

    job = msgspec.json.decode(raw, type=Job)
    topic = job.settings.kafka_topic
    reader = Consumer({"bootstrap.servers": job.kafka, "group.id": "bench", "enable.auto.commit": False})
    places = [TopicPartition(topic, number, 0) for number in reader.list_topics(topic).topics[topic].partitions]
    left = sum(reader.get_watermark_offsets(place, timeout=10)[1] for place in places)
    imports = _cpu_s()
    reader.assign(places)
    size = events = 0
    while left:
        for message in reader.consume(500, timeout=1):
            size += len(message.value() or b"")
            events += int(dict(message.headers() or [])["event_count"] or 0)
            left -= 1
    reader.close()
    return Usage(events, size, time.monotonic() - began, _cpu_s(), imports, _max_rss_mib())


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _max_rss_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, ru_maxrss begins with what the parent had when it started this process
        return int(status.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def main(arguments: list[str]) -> None:
    """Run one of them and print its usage as JSON."""
    raw = sys.stdin.buffer.read()
    match arguments[0]:
        case "drain":
            usage = drain(raw, profiled="--profile" in arguments)
        case "consume":
            usage = consume(raw)
        case name:
            usage = peer(raw, name)
    sys.stdout.write(msgspec.json.encode(usage).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
