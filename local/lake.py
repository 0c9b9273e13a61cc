"""Creates the stack's blob containers where they are missing: `python -m local.lake`."""

from __future__ import annotations

import os

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient, PublicAccess

_CONTAINERS = {"PIPELINE_LAKE_CONTAINER": "lake", "PIPELINE_DATA_DOCS_CONTAINER": "datadocs"}


def main() -> None:
    """Create every container that the pipeline is configured to write to."""
    with BlobServiceClient.from_connection_string(os.environ["LOCAL_AZURE_CONNECTION_STRING"]) as service:
        for variable, default in _CONTAINERS.items():
            name = os.environ.get(variable) or default
            # A browser reads Data Docs without a key; Azurite is reached from this machine only.
            access = PublicAccess.BLOB if variable == "PIPELINE_DATA_DOCS_CONTAINER" else None
            try:
                service.create_container(name, public_access=access)
            except ResourceExistsError:
                print(f"container {name}: there already")
            else:
                print(f"container {name}: created")


if __name__ == "__main__":
    main()
