"""Names carry contract, hour, plan and offsets; Azure's errors become ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from include.blobs import lake_error
from include.errors import PipelineError, SetupError, TransientError
from include.lake import Lake, file_name, manifest_name, part_name, plan_name, result_name
from include.plans import PartitionRange, Plan

PART = PartitionRange(3, 100, 250)


def plan(start: datetime = datetime(2026, 11, 23, 10, 55, tzinfo=UTC)) -> Plan:
    return Plan(7, "events", "id", "cluster", start, start + timedelta(minutes=5), final=True, ranges=(PART,))


def test_names_carry_the_offsets() -> None:
    assert plan_name("events", 7) == "plans/events/0000000007.json"
    assert manifest_name(plan()) == "manifests/events/0000000007.json"
    assert part_name(plan(), PART) == "parts/events-0000000007/events-3-100-250.json"
    assert result_name(plan()) == "quality/date=2026-11-23/hour=10/events-0000000007.json"
    assert file_name("events", plan(), PART) == (
        "events/v1/date=2026-11-23/hour=10/events-0000000007/events-3-100-250.parquet"
    )


def test_the_hour_is_utc_whatever_zone_the_interval_came_in() -> None:
    there = datetime(2026, 11, 24, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert "date=2026-11-23/hour=22" in file_name("failed", plan(there), PART)


def http(status: int, code: str | None = None, kind: type[HttpResponseError] = HttpResponseError) -> HttpResponseError:
    error = kind("what Azure said\nand more")
    error.status_code = status
    error.error_code = code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(("error", "ours", "says"), [
    (http(403, "AuthorizationFailure"), SetupError, "role assignment"),
    (http(401, None, ClientAuthenticationError), SetupError, "role assignment"),
    (http(404, "ContainerNotFound", ResourceNotFoundError), SetupError, "PIPELINE_LAKE_CONTAINER"),
    (http(404, "FilesystemNotFound", ResourceNotFoundError), SetupError, "PIPELINE_LAKE_CONTAINER"),
    (http(404, "BlobNotFound", ResourceNotFoundError), TransientError, "what Azure said"),
    (http(503, "ServerBusy"), TransientError, "what Azure said"),
    (http(500), TransientError, "what Azure said"),
    (ServiceRequestError("connection refused"), TransientError, "connection refused"),
    (ServiceResponseError("timed out"), TransientError, "timed out"),
])  # fmt: skip
def test_each_error_says_who_acts(error: AzureError, ours: type[PipelineError], says: str) -> None:
    mapped = lake_error(error, "reading plans/x")
    assert type(mapped) is ours
    assert "reading plans/x" in str(mapped)
    assert says in str(mapped)
    assert "\n" not in str(mapped)


class BrokenBlob:
    """A blob or container whose service does not answer."""

    blob_name = "events/x.parquet"

    def __getattr__(self, name: str) -> Any:
        def call(*args: object, **kwargs: object) -> None:
            raise ServiceRequestError("connection refused")

        return call


def test_every_call_of_the_lake_maps_its_errors() -> None:
    broken: Any = BrokenBlob()
    lake = Lake(broken, "events")
    for call in (lambda: lake.read(1), lambda: lake.create(plan()), lambda: lake.read_table("x", ["a"])):
        with pytest.raises(TransientError, match="connection refused"):
            call()
    broken.get_blob_client = lambda _: BrokenBlob()
    file = lake.parquet("events/x.parquet")
    file.write(pa.table({"a": [1]}))
    with pytest.raises(TransientError, match="connection refused"):
        file.close("events", 0)
