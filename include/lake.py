"""The lake on ADLS: create-only documents, streamed Parquet files, names that carry the offsets."""

from __future__ import annotations

import hashlib
import io
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, BlobClient, ContainerClient, ContentSettings

from include.contract import event
from include.errors import PipelineError, SetupError, TerminalError, TransientError
from include.gaps import Acceptance
from include.manifest import Manifest, StagedFile
from include.plans import PartitionRange, Plan

T = TypeVar("T")
BLOCK_BYTES = 4 * 1024 * 1024


def lake_error(error: AzureError, doing: str) -> PipelineError:
    """Map an Azure error to ours: credentials and missing containers want a human, all else is retried."""
    status = getattr(error, "status_code", None)
    if isinstance(error, ClientAuthenticationError) or status in {401, 403}:
        return SetupError(
            f"the lake refused {doing} ({status}): check connection `lake` and its role assignment, "
            "see docs/runbooks/lake-refused.md"
        )
    code = getattr(error, "error_code", None)
    if code in {"ContainerNotFound", "FilesystemNotFound"}:
        return SetupError(
            f"the lake has no such container for {doing}: check PIPELINE_LAKE_CONTAINER, "
            "see docs/runbooks/lake-refused.md"
        )
    return TransientError(f"the lake failed at {doing}: {str(error).splitlines()[0][:300]}")


class Lake:
    """Documents and files of one container; every name ever written is written once."""

    def __init__(self, container: ContainerClient, topic: str) -> None:
        """Take the client of the lake's container; plans are those of `topic`."""
        self.container = container
        self.topic = topic

    def get(self, name: str, kind: type[T]) -> T | None:
        """Return a JSON document, None where there is none."""
        try:
            raw = self.container.download_blob(name).readall()
        except ResourceNotFoundError as error:
            if getattr(error, "error_code", None) == "BlobNotFound":
                return None
            raise lake_error(error, f"reading {name}") from error
        except AzureError as error:
            raise lake_error(error, f"reading {name}") from error
        return msgspec.json.decode(raw, type=kind)

    def put_once(self, name: str, document: Any) -> bool:  # noqa: ANN401 - anything msgspec can encode
        """Write a JSON document create-only; False when the name is taken."""
        raw = msgspec.json.format(msgspec.json.encode(document))
        try:
            self.container.upload_blob(
                name, raw, overwrite=False, content_settings=ContentSettings(content_type="application/json")
            )
        except ResourceExistsError:
            return False
        except AzureError as error:
            raise lake_error(error, f"writing {name}") from error
        return True

    def parquet(self, name: str) -> ParquetFile:
        """Return a writer whose file becomes visible, whole, only when it is closed."""
        return ParquetFile(self.container.get_blob_client(name))

    def has(self, file: StagedFile) -> bool:
        """Tell whether a staged file is there in its size."""
        try:
            return bool(self.container.get_blob_client(file.name).get_blob_properties().size == file.bytes)
        except ResourceNotFoundError:
            return False
        except AzureError as error:
            raise lake_error(error, f"looking for {file.name}") from error

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the sizes in bytes of all files whose names begin with `prefix`."""
        try:
            return {blob.name: int(blob.size or 0) for blob in self.container.list_blobs(prefix)}
        except AzureError as error:
            raise lake_error(error, f"listing {prefix}") from error

    def read_table(self, name: str, columns: list[str]) -> pa.Table:
        """Return some columns of a staged file."""
        try:
            raw = self.container.download_blob(name).readall()
        except AzureError as error:
            raise lake_error(error, f"reading {name}") from error
        return pq.read_table(io.BytesIO(raw), columns=columns)

    def row_groups(self, file: StagedFile) -> Iterator[pa.Table]:
        """Yield the rows of a staged file group by group.

        Raises:
            TerminalError: the file is gone, or is not the one that its manifest describes.

        """
        try:
            raw = self.container.download_blob(file.name).readall()
        except ResourceNotFoundError as error:
            msg = f"{file.name} is gone though a manifest names it; see docs/runbooks/lake-file-lost.md"
            raise TerminalError(msg) from error
        except AzureError as error:
            raise lake_error(error, f"reading {file.name}") from error
        if hashlib.sha256(raw).hexdigest() != file.sha256:
            raise TerminalError(
                f"{file.name} has {len(raw)} bytes with another checksum than its manifest says ({file.bytes} bytes): "
                "it was changed after it was sealed; see docs/runbooks/lake-file-lost.md"
            )
        parquet = pq.ParquetFile(io.BytesIO(raw))
        for number in range(parquet.num_row_groups):
            yield parquet.read_row_group(number)

    # plans.PlanStore
    def read(self, sequence: int) -> Plan | None:
        """Return plan `sequence` of this lake's topic."""
        return self.get(plan_name(self.topic, sequence), Plan)

    def create(self, plan: Plan) -> bool:
        """Write a plan, create-only."""
        return self.put_once(plan_name(plan.topic, plan.sequence), plan)

    # gaps.Acceptances
    def acceptances(self) -> list[Acceptance]:
        """Return the accepted gaps of this lake's topic, oldest first."""
        found: list[Acceptance] = []
        while (one := self.get(acceptance_name(self.topic, len(found) + 1), Acceptance)) is not None:
            found.append(one)
        return found

    def sealed_sequences(self) -> set[int]:
        """Return the numbers of all plans that have a manifest, by one listing."""
        prefix = f"manifests/{self.topic}/"
        try:
            names = list(self.container.list_blob_names(name_starts_with=prefix))
        except AzureError as error:
            raise lake_error(error, f"listing {prefix}") from error
        return {int(name.removeprefix(prefix).split(".")[0]) for name in names}


class ParquetFile:
    """A Parquet file streamed as uncommitted blocks: memory stays bounded and half a file is never visible."""

    def __init__(self, blob: BlobClient) -> None:
        """Write to `blob`."""
        self._blob = blob
        self._sink = _BlockSink(blob)
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        """Append a row group."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                pa.PythonFile(self._sink, mode="w"), table.schema, compression="zstd", compression_level=1,
                dictionary_pagesize_limit=8 * 1024 * 1024, store_schema=False,
            )  # fmt: skip
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        self.rows += len(table)

    def close(self, kind: str, partition: int, occurred_on: tuple[str, ...] = ()) -> StagedFile | None:
        """Make the file visible and describe it; None when nothing was written. An identical file is left alone."""
        if self._writer is None:
            return None
        self._writer.close()
        digest = self._sink.finish()
        return StagedFile(self._blob.blob_name, kind, partition, self.rows, self._sink.written, digest, occurred_on)


class _BlockSink(io.RawIOBase):
    """File object over staged blocks; `finish` commits them unless the blob already has this content."""

    def __init__(self, blob: BlobClient) -> None:
        self._blob = blob
        self._buffer = bytearray()
        self._blocks: list[BlobBlock] = []
        self._hash = hashlib.sha256()
        self._attempt = uuid4().hex
        self.written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer, as io.RawIOBase has it
        view = memoryview(data)
        self._buffer += view
        self._hash.update(view)
        self.written += view.nbytes
        if len(self._buffer) >= BLOCK_BYTES:
            self._stage()
        return view.nbytes

    def finish(self) -> str:
        digest = self._hash.hexdigest()
        if self._existing() == digest:
            return digest
        if self._buffer:
            self._stage()
        try:
            self._blob.commit_block_list(self._blocks, metadata={"sha256": digest})
        except AzureError as error:
            raise lake_error(error, f"committing {self._blob.blob_name}") from error
        return digest

    def _stage(self) -> None:
        # Ids of one attempt never mix with another's, not even in two processes forked from the same one.
        block = b64encode(f"{self._attempt}-{len(self._blocks):08d}".encode()).decode()
        try:
            self._blob.stage_block(block, bytes(self._buffer))
        except AzureError as error:
            raise lake_error(error, f"writing {self._blob.blob_name}") from error
        self._blocks.append(BlobBlock(block))
        self._buffer.clear()

    def _existing(self) -> str | None:
        try:
            return (self._blob.get_blob_properties().metadata or {}).get("sha256")
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            raise lake_error(error, f"looking at {self._blob.blob_name}") from error


def plan_name(topic: str, sequence: int) -> str:
    """Return where a plan lies."""
    return f"plans/{topic}/{sequence:010d}.json"


def acceptance_name(topic: str, number: int) -> str:
    """Return where an acceptance of gaps lies."""
    return f"gaps/{topic}/{number:010d}.json"


def manifest_name(plan: Plan) -> str:
    """Return where a plan's manifest lies."""
    return f"manifests/{plan.topic}/{plan.sequence:010d}{_version(plan)}.json"


def part_name(plan: Plan, part: PartitionRange) -> str:
    """Return where the description of one drained range lies until it is sealed."""
    return f"parts/{plan.plan_id}{_version(plan)}/{plan.topic}-{part.partition}-{part.start}-{part.end}.json"


def result_name(plan: Plan) -> str:
    """Return where a plan's validation result lies."""
    return f"quality/{_hour(plan)}/{plan.plan_id}{_version(plan)}.json"


def file_name(kind: str, plan: Plan, part: PartitionRange) -> str:
    """Return the name of a range's events or failed events: it carries contract, hour, plan and offsets."""
    file = f"{plan.topic}-{part.partition}-{part.start}-{part.end}.parquet"
    return f"{kind}/v{plan.contract_version}/{_hour(plan)}/{plan.plan_id}/{file}"


def sealed(lake: Lake, sequences: Iterable[int]) -> Iterator[Manifest]:
    """Yield the manifests of those plans that are sealed, the latest one where a plan was restated."""
    for sequence in sequences:
        plan = lake.read(sequence)
        if plan is not None and (manifest := latest_manifest(lake, plan)) is not None:
            yield manifest


def latest_manifest(lake: Lake, plan: Plan) -> Manifest | None:
    """Return the manifest of the highest contract version that the plan was sealed under."""
    for version in range(event.CONTRACT_VERSION, plan.contract_version, -1):
        if (manifest := lake.get(manifest_name(plan.restated(version)), Manifest)) is not None:
            return manifest
    return lake.get(manifest_name(plan), Manifest)


def _version(plan: Plan) -> str:
    return f".v{plan.contract_version}" if plan.restates else ""


def _hour(plan: Plan) -> str:
    moment: datetime = plan.interval_start.astimezone(UTC)
    return f"date={moment:%Y-%m-%d}/hour={moment:%H}"
