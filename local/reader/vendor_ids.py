"""Reads what the vendor stand-in holds, through its read-back interface."""

from __future__ import annotations

from collections import Counter
from typing import Any

import requests

_TIMEOUT_SECONDS = 30.0


def stats(url: str) -> dict[str, Any]:
    """Return the vendor's counters and the state of its importer."""
    answer = requests.get(f"{url}/_standin/stats", timeout=_TIMEOUT_SECONDS)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def read(url: str, since_row: int = 0) -> Counter[str]:
    """Count the insert ids of events that came after `since_row`."""
    answer = requests.get(f"{url}/_standin/insert_ids", params={"since_row": since_row}, timeout=_TIMEOUT_SECONDS)
    answer.raise_for_status()
    return Counter(line for line in answer.content.decode().split("\n") if line)
