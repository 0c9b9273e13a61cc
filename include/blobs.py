"""Blobs of Azure storage for the lake: Parquet files streamed as blocks, and its errors as ours."""

from __future__ import annotations

import hashlib
import io
from base64 import b64encode
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobClient, BlobProperties, ContentSettings

from include.errors import PipelineError, SetupError, TransientError
from include.manifest import StagedFile

BLOCK_BYTES = 4 * 1024 * 1024
_UNIQUE = {"event_id", "occurred_at", "corrected_at", "kafka_offset", "envelope_index", "raw", "raw_sha256"}
Suspicion = Literal["", "gone", "size", "checksum"]


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


class Marks(NamedTuple):
    """What storage tells of a blob without its content being read.

    Whoever writes a blob anew loses our metadata, and storage computes its MD5 itself or has none; so both still being
    ours says that nobody did. Who sets both by hand goes unseen until the content is read.
    """

    size: int
    sha256: str
    md5: str

    @classmethod
    def of(cls, blob: BlobProperties) -> Marks:
        """Take them from a blob's properties."""
        md5 = bytes(blob.content_settings.content_md5 or b"").hex()
        return cls(int(blob.size or 0), (blob.metadata or {}).get("sha256", ""), md5)

    def suspicion(self, file: StagedFile) -> Suspicion:
        """Say what speaks against this being the file that was staged; files staged before MD5s were kept have none."""
        if self.size != file.bytes:
            return "size"
        return "" if self.sha256 == file.sha256 and file.md5 in {"", self.md5} else "checksum"


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
                use_dictionary=[name for name in table.schema.names if name not in _UNIQUE],  # larger and slower with
            )  # fmt: skip
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        self.rows += len(table)

    def close(self, kind: str, partition: int, occurred_on: tuple[str, ...] = ()) -> StagedFile | None:
        """Make the file visible and describe it; None when nothing was written. An identical file is left alone."""
        if self._writer is None:
            return None
        self._writer.close()
        digest = self._sink.finish()
        return StagedFile(
            self._blob.blob_name, kind, partition, self.rows, self._sink.written, digest, occurred_on, self._sink.md5
        )


class _BlockSink(io.RawIOBase):
    """File object over staged blocks; `finish` commits them unless the blob already has this content."""

    def __init__(self, blob: BlobClient) -> None:
        self._blob = blob
        self._buffer = bytearray()
        self._blocks: list[BlobBlock] = []
        self._hash = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)  # the only checksum that storage keeps and lists
        self._attempt = uuid4().hex
        self.written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer, as io.RawIOBase has it
        view = memoryview(data)
        self._buffer += view
        self._hash.update(view)
        self._md5.update(view)
        self.written += view.nbytes
        if len(self._buffer) >= BLOCK_BYTES:
            self._stage()
        return view.nbytes

    @property
    def md5(self) -> str:
        return self._md5.hexdigest()

    def finish(self) -> str:
        digest = self._hash.hexdigest()
        if self._existing() == Marks(self.written, digest, self.md5):
            return digest
        if self._buffer:
            self._stage()
        try:
            self._blob.commit_block_list(
                self._blocks,
                metadata={"sha256": digest},
                content_settings=ContentSettings(content_md5=bytearray(self._md5.digest())),
            )
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

    def _existing(self) -> Marks | None:
        try:
            return Marks.of(self._blob.get_blob_properties())
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            raise lake_error(error, f"looking at {self._blob.blob_name}") from error
