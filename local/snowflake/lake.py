"""Reads the blobs of `azure://` stages from the local storage account, for COPY and LIST of the stand-in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlparse

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient
from snowflake.connector.errors import ProgrammingError

PARALLEL_DOWNLOADS = 4


class Place(NamedTuple):
    """A stage's location: container and prefix of the storage account, and its URL as Snowflake prints it."""

    container: str
    prefix: str
    url: str


class Blob(NamedTuple):
    """One staged file: its name under the stage's location and what identifies its content."""

    name: str
    url: str
    etag: str
    size: int
    modified: str
    md5: str | None


def place_of(url: str) -> Place:
    """Split `azure://<account>.blob.core.windows.net/<container>/<prefix>`."""
    container, _, prefix = urlparse(url).path.lstrip("/").partition("/")
    return Place(container, prefix, url)


class Lake:
    """The storage account, whatever account name a stage's URL carries."""

    def __init__(self, connection_string: str) -> None:
        self._connection_string = connection_string

    def _container(self, place: Place) -> ContainerClient:
        if not self._connection_string:
            raise ProgrammingError(
                msg="The stand-in has no storage account: set LOCAL_AZURE_CONNECTION_STRING.",
                errno=91003,
                sqlstate="55000",
            )
        return BlobServiceClient.from_connection_string(self._connection_string).get_container_client(place.container)

    def names(self, place: Place, pattern: str | None = None) -> Iterator[Blob]:
        """List the blobs under `place`, those whose path matches `pattern` as a whole."""
        with self._container(place) as container:
            for item in container.list_blobs(name_starts_with=place.prefix):
                if pattern is None or re.fullmatch(pattern, item.name):
                    yield _blob(place, item.name[len(place.prefix) :], item)

    def heads(self, place: Place, names: Sequence[str]) -> list[Blob]:
        """Look the named blobs up; raises Snowflake's 091016 for one that is missing."""
        with self._container(place) as container, ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            return list(pool.map(lambda name: _head(container, place, name), names))

    def download(self, place: Place, names: Sequence[str], folder: Path) -> list[tuple[Blob, Path]]:
        """Fetch the named blobs into `folder`, in order; raises Snowflake's 091016 for one that is missing."""
        with self._container(place) as container, ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            jobs = [(name, folder / f"{number:04d}") for number, name in enumerate(names)]
            return list(pool.map(lambda job: (_fetch(container, place, *job), job[1]), jobs))


def _blob(place: Place, name: str, properties: object) -> Blob:
    settings = getattr(properties, "content_settings", None)
    digest = getattr(settings, "content_md5", None)
    modified = getattr(properties, "last_modified", None)
    return Blob(
        name,
        place.url + name,
        str(getattr(properties, "etag", "")).strip('"'),
        int(getattr(properties, "size", 0)),
        f"{modified:%a, %d %b %Y %H:%M:%S GMT}" if modified else "",
        bytes(digest).hex() if digest else None,
    )


def _head(container: ContainerClient, place: Place, name: str) -> Blob:
    try:
        return _blob(place, name, container.get_blob_client(place.prefix + name).get_blob_properties())
    except ResourceNotFoundError as error:
        raise _missing(place, name) from error


def _fetch(container: ContainerClient, place: Place, name: str, path: Path) -> Blob:
    try:
        stream = container.get_blob_client(place.prefix + name).download_blob()
        with path.open("wb") as file:
            stream.readinto(file)
        return _blob(place, name, stream.properties)
    except ResourceNotFoundError as error:
        raise _missing(place, name) from error


def _missing(place: Place, name: str) -> ProgrammingError:
    message = f"Remote file '{place.url}{name}' was not found. If the file was loaded before, remove it from FILES."
    return ProgrammingError(msg=message, errno=91016, sqlstate="22000")
