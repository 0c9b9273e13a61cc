"""Benchmark of a 24-hour backfill on the real stack: the rehearsal, and healing hours that have nothing to heal.

`python -m bench.backfill [--hours N]`; the limit is the same hours' work called inline, without Airflow.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import history
from include.backfill.command import main as command
from local.stack import Stack

CHECK_SECONDS, HEAL_SECONDS = 60.0, 180.0
_NEVER = "0 0 1 1 *"


def measure(hours: int, events_per_second: float) -> dict[str, float]:
    """Return the seconds of each mode over `hours` hours that are whole."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(hours=hours)
    env = {"LOCAL_STAGE_CRON": _NEVER, "PIPELINE_START_DATE": f"{start:%Y-%m-%dT%H:%M}"}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Stack(Path(folder) / "state", ports="free", env=env) as stack,
    ):
        history.give(stack, start, hours, events_per_second)
        span = ["--from", start.isoformat(), "--to", end.isoformat()]
        there = {**os.environ, **stack.endpoints, "BACKFILL_AIRFLOW_URL": stack.endpoints["LOCAL_URL_AIRFLOW"]}
        found = {}
        for mode in ("check", "heal"):
            words = [*span, "--mode", mode, "--reason", "benchmark", "--max-active-runs", "4"]
            found[mode] = timed(lambda words=words: command(words, there))  # type: ignore[misc]
        return found


def timed(call: Callable[[], int]) -> float:
    """Return the seconds that a command took; RuntimeError when it failed."""
    began, output = time.monotonic(), io.StringIO()
    with contextlib.redirect_stdout(output):
        status = call()
    if status:
        raise RuntimeError(f"the command ended with {status}:\n{output.getvalue()}")
    return time.monotonic() - began


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(prog="python -m bench.backfill", description=__doc__)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--rate", type=float, default=20.0, help="events per second of the past")
    options = parser.parse_args()
    found = measure(options.hours, options.rate)
    print(f"backfill of {options.hours} hours, check: {found['check']:.1f} s (target {CHECK_SECONDS:.0f})")
    print(f"backfill of {options.hours} hours, heal with nothing to heal: {found['heal']:.1f} s ({HEAL_SECONDS:.0f})")


if __name__ == "__main__":
    main()
