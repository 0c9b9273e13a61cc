"""Other ways to build the ingest API, for the benchmarks: each as it is usually written, with the same promise.

Their packages are in a lock of their own, installed into an environment of their own when a benchmark needs them.
"""

from __future__ import annotations

from pathlib import Path

from local.paths import TOOLS

ENVIRONMENT = "venv-peers"
LOCK = Path(__file__).parent / "requirements.txt"
PYTHON = TOOLS / ENVIRONMENT / "bin" / "python"
