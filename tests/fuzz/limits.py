"""The limits of the fuzzed API: small, so that generated requests pass them, and timeouts that a test can wait for."""

from __future__ import annotations

import os
import random

BODY_BYTES = 400_000
INFLATED_BYTES = 1_000_000
EVENTS = 100
MESSAGE_BYTES = 1_000_000
"""So large that no request is ever split."""

HEADER_SECONDS = 2.5
BODY_SECONDS = 2.5

ENVIRONMENT = {
    "INGEST_MAX_BODY_BYTES": str(BODY_BYTES),
    "INGEST_MAX_INFLATED_BYTES": str(INFLATED_BYTES),
    "INGEST_MAX_EVENTS": str(EVENTS),
    "INGEST_HEADER_TIMEOUT_MS": str(int(HEADER_SECONDS * 1000)),
    "INGEST_BODY_TIMEOUT_MS": str(int(BODY_SECONDS * 1000)),
    # Requests come one after the other here: waiting for company would only make the tests longer.
    "INGEST_LINGER_MS": "0",
    "TOPIC_PARTITIONS": "2",
    "TOPIC_MAX_MESSAGE_BYTES": str(MESSAGE_BYTES),
}


def seed(fixed: int) -> int:
    """Return FUZZ_SEED, else a fixed seed for `make test` or, with 0, one that nobody had before."""
    given = os.environ.get("FUZZ_SEED")
    return int(given) if given else fixed or random.SystemRandom().randrange(2**32)
