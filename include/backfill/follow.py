"""Follows a running backfill with a progress bar."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from include.backfill.airflow import Airflow
from include.backfill.span import Span

POLL_S = 1.0


def until_over(airflow: Airflow, backfill: int, span: Span, console: Console) -> int:
    """Return the number of hours that failed, when the backfill is over."""
    columns = (
        TextColumn("backfill {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("hours{task.fields[failed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(str(backfill), total=span.hours, failed="")
        while True:
            # Asked in this order, so that the last look at the states is one after the end.
            over = airflow.is_over(backfill)
            states = airflow.states(span.start, span.end)
            failed = states["failed"]
            progress.update(task, completed=states["success"] + failed, failed=f", {failed} failed" if failed else "")
            if over:
                return failed
            time.sleep(POLL_S)
