"""A backlog of any size drains in constant memory: what a worker needs is bounded by the chunk, not by the range."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from azure.storage.blob import BlobServiceClient

from bench.backlog import backlog
from bench.drain import run

GIB = 1024.0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_four_times_the_backlog_needs_no_more_memory() -> None:
    peaks = []
    for events in (250_000, 1_000_000):
        with backlog(events, ("kafka", "azurite")) as (_, job):
            with BlobServiceClient.from_connection_string(job.azure) as service:
                service.create_container(job.settings.lake_container)
            usage = run("drain", msgspec.structs.replace(job, interval_end=datetime.now(UTC)))
        assert usage.events == events
        peaks.append(usage.max_rss_mib)
    small, large = peaks
    assert large < GIB, f"{large:.0f} MiB for one million events in one range"
    assert large - small < 150, f"{small:.0f} MiB for a quarter of them"
