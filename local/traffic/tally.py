"""Counts what became of the sent requests, writes the ledger, and tells a person about both."""

from __future__ import annotations

import threading
import time
from bisect import insort
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec

from local.traffic.sender import Outcome

KEPT_LATENCIES = 100_000
_encode = msgspec.json.Encoder().encode


class Tally:
    """Hears every outcome (from several threads); `ledger` gets one JSON line per acknowledged request."""

    def __init__(self, ledger: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._problems: Counter[int] = Counter()
        self._seconds: list[float] = []
        self._began = time.monotonic()
        self._ledger: IO[bytes] | None = None
        if ledger is not None:
            ledger.parent.mkdir(parents=True, exist_ok=True)
            self._ledger = ledger.open("wb")

    def close(self) -> None:
        """Close the ledger."""
        if self._ledger is not None:
            self._ledger.close()

    def add(self, outcome: Outcome) -> None:
        """Count one outcome; what was never tried, because the run was interrupted, is left out."""
        request = outcome.request
        if not outcome.attempts:
            return
        with self._lock:
            self._counts["requests"] += 1
            self._counts["attempts"] += outcome.attempts
            if not outcome.acknowledged:
                self._counts["unacknowledged"] += 1
                self._problems[outcome.status] += 1
                return
            self._counts["repeated"] += request.is_retry
            self._counts["acknowledged"] += len(request.events)
            if not request.is_retry:
                self._counts.update(event.expected for event in request.events)
                self._counts["consented"] += sum(event.consented for event in request.events)
            if len(self._seconds) < KEPT_LATENCIES:
                insort(self._seconds, outcome.seconds)
            self._record(outcome)

    def all_acknowledged(self) -> bool:
        """Whether every request was acknowledged in the end."""
        return not self._counts["unacknowledged"]

    def progress(self) -> str:
        """Return one line for while it runs."""
        with self._lock:
            return (
                f"{self._counts['acknowledged']:,} events acknowledged ({self._rate():,.0f}/s),"
                f" {self._counts['attempts'] - self._counts['requests']:,} attempts repeated,"
                f" {self._counts['unacknowledged']:,} requests without acknowledgement"
            )

    def summary(self) -> str:
        """Return the closing lines."""
        with self._lock:
            count = self._counts
            lines = [
                f"requests   {count['requests']:,}, of them repeated by plan {count['repeated']:,}",
                f"attempts   {count['attempts']:,}",
                f"events     {count['acknowledged']:,} acknowledged, {self._rate():,.0f}/s",
                f"distinct   {count['valid']:,} valid, {count['failed']:,} malformed, {count['consented']:,} consented",
                f"answered   p50 {self._percentile(0.5)}, p95 {self._percentile(0.95)}, p99 {self._percentile(0.99)}",
            ]
            for status, missing in sorted(self._problems.items()):
                answer = f"last answer {status}" if status else "no answer"
                lines.append(f"MISSING    {missing:,} requests were never acknowledged ({answer})")
        return "\n".join(lines)

    def _rate(self) -> float:
        return self._counts["acknowledged"] / max(time.monotonic() - self._began, 1e-9)

    def _percentile(self, part: float) -> str:
        if not self._seconds:
            return "-"
        return f"{self._seconds[min(int(len(self._seconds) * part), len(self._seconds) - 1)] * 1000:.1f} ms"

    def _record(self, outcome: Outcome) -> None:
        if self._ledger is None:
            return
        request = outcome.request
        line = {
            "request_id": outcome.request_id, "source_id": request.source_id, "is_retry": request.is_retry,
            "acknowledged_at": datetime.now(UTC).isoformat(), "events": [event._asdict() for event in request.events],
        }  # fmt: skip
        # A closed ledger means that the run was cut off; what came later is not part of it.
        with suppress(ValueError):
            self._ledger.write(_encode(line) + b"\n")
            self._ledger.flush()
