"""Other ways to build the ingest API and the drain, for the benchmarks: each as it is usually written.

The API's packages are in a lock of their own, installed into an environment of their own when a benchmark needs them.
The drain's are those of the pipeline and of the local stack, locked in requirements.txt and local/requirements.txt.
"""

from __future__ import annotations

from pathlib import Path

from local.paths import TOOLS

ENVIRONMENT = "venv-peers"
LOCK = Path(__file__).parent / "requirements.txt"
PYTHON = TOOLS / ENVIRONMENT / "bin" / "python"
