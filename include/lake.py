"""The lake on ADLS: create-only documents, streamed Parquet files, names that carry the offsets."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient, ContentSettings

from include.blobs import Marks, ParquetFile, Suspicion, lake_error
from include.contract import event
from include.errors import TerminalError
from include.gaps import Acceptance
from include.manifest import Manifest, StagedFile
from include.plans import PartitionRange, Plan

T = TypeVar("T")


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
        """Tell whether a staged file is there as it was staged."""
        try:
            marks = Marks.of(self.container.get_blob_client(file.name).get_blob_properties())
        except ResourceNotFoundError:
            return False
        except AzureError as error:
            raise lake_error(error, f"looking for {file.name}") from error
        return not self._trouble(file, marks)

    def troubles(self, files: Sequence[StagedFile]) -> dict[str, Suspicion]:
        """Return, by name, what is wrong with those files that are gone or not as they were staged.

        One listing per folder, and only what looks wrong there is read: for a healthy day nothing is.
        """
        found: dict[str, Marks] = {}
        for prefix in sorted({file.name.rsplit("/", 2)[0] + "/" for file in files}):
            found |= self._marks(prefix)
        wrong = {file.name: self._trouble(file, found.get(file.name)) for file in files}
        return {name: trouble for name, trouble in sorted(wrong.items()) if trouble}

    def _marks(self, prefix: str) -> dict[str, Marks]:
        try:
            return {blob.name: Marks.of(blob) for blob in self.container.list_blobs(prefix, include=["metadata"])}
        except AzureError as error:
            raise lake_error(error, f"listing {prefix}") from error

    def _trouble(self, file: StagedFile, marks: Marks | None) -> Suspicion:
        if marks is None:
            return "gone"
        if (suspicion := marks.suspicion(file)) != "checksum":
            return suspicion
        # A copy brought back from a backup may have lost the marks; the content decides.
        return "" if hashlib.sha256(self._content(file)).hexdigest() == file.sha256 else "checksum"

    def _content(self, file: StagedFile) -> bytes:
        try:
            return self.container.download_blob(file.name).readall()
        except ResourceNotFoundError as error:
            msg = f"{file.name} is gone though a manifest names it; see docs/runbooks/lake-file-lost.md"
            raise TerminalError(msg) from error
        except AzureError as error:
            raise lake_error(error, f"reading {file.name}") from error

    def remove(self, name: str) -> None:
        """Delete a file of ours that nothing refers to; one that is gone is gone."""
        try:
            self.container.delete_blob(name)
        except ResourceNotFoundError:
            return
        except AzureError as error:
            raise lake_error(error, f"removing {name}") from error

    def sweep(self, prefix: str, older: timedelta = timedelta(days=1)) -> None:
        """Remove what killed runs left below a folder of short-lived files."""
        before = datetime.now(UTC) - older
        try:
            left = [blob.name for blob in self.container.list_blobs(prefix) if blob.last_modified < before]
        except AzureError as error:
            raise lake_error(error, f"listing {prefix}") from error
        for name in left:
            self.remove(name)

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
        raw = self._content(file)
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
