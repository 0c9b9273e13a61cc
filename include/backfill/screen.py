"""What the backfill command prints: the rehearsal and the closing table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from include.backfill.rehearsal import Rehearsal, Step
from include.backfill.span import Span
from include.backfill.wish import MEANINGS, Mode
from include.statements import statement
from include.warehouse import Warehouse, naive

RUN_SECONDS = 8.0
"""What a run of settle_hour costs in Airflow with nothing to do, measured on two cores."""
_EXAMPLES = 5
_HOURS_SHOWN = 48


def rehearsal(console: Console, span: Span, found: Rehearsal, mode: Mode, price: float, at_once: int) -> None:
    """Print what is there and what each mode would do; the chosen one is marked."""
    console.print(
        f"{span}: {span.hours:,} hours, {found.plans:,} plans, {found.envelopes:,} envelopes, "
        f"{found.events:,} valid and {found.failed:,} failed events",
        highlight=False,
    )
    overhead = span.hours * RUN_SECONDS / max(1, at_once)
    table = Table(title="What each mode would do", title_justify="left")
    table.add_column("mode", no_wrap=True)
    for name in ("batches", "events", "from", "about", "credits"):
        table.add_column(name, justify="left" if name == "from" else "right")
    table.add_column("")
    for step in found.steps:
        chosen = "bold" if step.mode == mode else ""
        table.add_row(*_cells(step, overhead, price), MEANINGS[step.mode], style=chosen)
    console.print(table)
    for line in _findings(found):
        console.print(line, markup=False, highlight=False)


def closing(console: Console, warehouse: Warehouse, span: Span, since: datetime) -> None:
    """Print what the backfill did per hour, and what still does not add up."""
    values = {"start": naive(span.start), "end": naive(span.end), "since": naive(since)}
    rows = warehouse.run(statement("backfill/record", "range"), values, "reading BACKFILLS")
    table = Table(title="What was done", title_justify="left")
    for name in ("hour", "mode", "state", "EVENTS", "FAILED_EVENTS", "done"):
        table.add_column(name, justify="right" if name.isupper() else "left", no_wrap=name == "hour")
    for hour, mode, state, before, after, failed_before, failed_after, detail in rows[:_HOURS_SHOWN]:
        change = (_change(before, after), _change(failed_before, failed_after))
        table.add_row(f"{hour:%Y-%m-%d %H:%M}", mode, state, *change, _detail(detail))
    console.print(table)
    if len(rows) > _HOURS_SHOWN:
        console.print(f"and {len(rows) - _HOURS_SHOWN:,} more hours in CONTROL.BACKFILLS")
    left = warehouse.run(statement("backfill/record", "reconciliation"), values, "reading RECONCILIATION")
    for hour, hop, difference in left[:_EXAMPLES]:
        console.print(f"{hour:%Y-%m-%d %H:%M} {hop}: {difference:,} unexplained", markup=False, highlight=False)
    if not left:
        console.print("Every hour adds up, from client to vendor.")


def _cells(step: Step, overhead: float, price: float) -> tuple[str, ...]:
    spent = step.warehouse_seconds / 3600 * price
    return (
        step.mode,
        f"{step.batches:,}",
        f"{step.events:,}",
        step.source,
        _time(step.seconds + overhead),
        f"{spent:.3f}",
    )


def _findings(found: Rehearsal) -> list[str]:
    lines = []
    if found.expired:
        lines.append(
            f"{found.expired} plans are not staged and Kafka has lost a part of them: see docs/runbooks/gap.md"
        )
    lines += [hop.sentence for hop in found.findings]
    return [*lines, *(f"gone, or not as it was sealed: {name}" for name in found.lost_files[:_EXAMPLES])]


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _change(before: int | None, after: int | None) -> str:
    if after is None:
        return f"{before or 0:,}"
    grown = after - (before or 0)
    return f"{after:,} ({grown:+,})" if grown else f"{after:,}"


def _detail(detail: Any) -> str:  # noqa: ANN401 - a VARIANT arrives as JSON text
    if not detail:
        return ""
    found: dict[str, Any] = msgspec.json.decode(detail) if isinstance(detail, str) else dict(detail)
    return ", ".join(f"{name} {value}" for name, value in found.items() if value) or "nothing to do"
