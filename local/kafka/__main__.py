"""Formats the storage of the stack's broker: `python -m local.kafka FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from local.kafka import format_storage, new_cluster_id

if __name__ == "__main__":
    format_storage(Path(sys.argv[1]), new_cluster_id())
