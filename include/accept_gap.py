"""`make accept-gap`: shows what Kafka lost before it was staged and, with a reason, lets the pipeline go on over it."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console
from rich.table import Table

from include import accepting, clients
from include.errors import PipelineError
from include.gaps import Acceptance, Gap
from include.lake import Lake
from include.settings import pipeline_settings
from include.warehouse import Warehouse

OpenWarehouse = Callable[[], AbstractContextManager[Warehouse]]
_MEANING = {
    "unplanned": "the chain of plans goes on at the oldest offset that Kafka has",
    "unstaged": "the plan is staged from the oldest offset that Kafka has",
    "recreated": "the chain of plans goes on at the beginning of the new topic",
}
_LOSS = (
    "To accept them means: their events are never in the warehouse, unless clients send them again. Nothing else is "
    "touched. Look first whether somebody can bring them back: docs/runbooks/gap.md"
)


def run(
    lake: Lake, kafka: Mapping[str, Any], warehouse: OpenWarehouse, *, reason: str | None, by: str, console: Console
) -> int:
    """Show the gaps that stand and, where there is a reason, accept exactly these; returns the exit status."""
    lost = accepting.standing(lake, kafka)
    if lost:
        console.print(_table(lake.topic, lost))
    else:
        _say(console, f"No gap stands in topic {lake.topic}.", *_earlier(lake.acceptances()))
    if reason is None:
        if lost:
            _say(console, _LOSS, "To accept exactly these: make accept-gap ARGS='--reason \"…\"'")
        return 0
    if lost:
        made = accepting.accept(lake, lost, reason, by)
        _say(
            console,
            f"Accepted as {made.acceptance_id} by {made.accepted_by}: {made.reason}",
            "The next run of stage_events goes on. Clear a failed drain task, or let settle_hour heal its hour.",
        )
    return _record(lake, warehouse, console)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command; exit status 0 shown or accepted, 1 something failed and the text says what."""
    parser = argparse.ArgumentParser(prog="python -m include.accept_gap", description=__doc__)
    parser.add_argument("--reason", help="why these events are given up; without it nothing is written")
    parser.add_argument("--by", help="who accepts (default: your login)")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    try:
        if options.reason is not None and not options.reason.strip():
            parser.error("--reason must say why")
        settings = pipeline_settings(environ)
        with clients.lake(environ, settings) as lake:
            return run(
                lake,
                clients.kafka(environ),
                lambda: clients.warehouse(environ),
                reason=options.reason,
                by=options.by or _login(),
                console=console,
            )
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _login() -> str:
    """Return the user's login; empty where there is none, as in some containers: then --by has to say it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _record(lake: Lake, warehouse: OpenWarehouse, console: Console) -> int:
    """Write the rows; the acceptance in the lake holds whether that works or not."""
    try:
        with warehouse() as connected:
            if written := accepting.record(lake, connected):
                _say(console, f"Recorded in CONTROL.ACCEPTED_GAPS: {written} acceptance{'s' if written > 1 else ''}.")
    except PipelineError as error:
        _say(
            console,
            f"The acceptance in the lake holds, but its rows in CONTROL.ACCEPTED_GAPS are not written: {error}",
            "Run the same command again when the warehouse is back; it then writes only these rows.",
        )
        return 1
    return 0


def _table(topic: str, lost: Sequence[Gap]) -> Table:
    table = Table(title=f"Gaps of topic {topic}", title_justify="left")
    for name in ("gap", "plan", "partition", "offsets", "records"):
        table.add_column(name, justify="right" if name in {"partition", "records"} else "left", no_wrap=True)
    table.add_column("when accepted", overflow="fold")
    for gap in lost:
        records = "unknown" if gap.records is None else f"{gap.records:,}"
        plan = f"{'of' if gap.kind == 'unstaged' else 'after'} {gap.sequence}"
        table.add_row(gap.kind, plan, str(gap.partition), gap.span, records, _MEANING[gap.kind])
    return table


def _earlier(acceptances: Sequence[Acceptance]) -> list[str]:
    return [
        f"Accepted before: {one.acceptance_id}, {len(one.gaps)} ranges, by {one.accepted_by} at "
        f"{one.accepted_at:%Y-%m-%d %H:%M} UTC: {one.reason}"
        for one in acceptances[-3:]
    ]


def _say(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], os.environ))
