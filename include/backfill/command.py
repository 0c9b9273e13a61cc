"""The backfill command: rehearse a date range, run it through Airflow with a progress bar, show what became of it."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from rich.console import Console

from include import clients
from include.backfill import follow, screen, span
from include.backfill.airflow import Airflow, BackfillSettings
from include.backfill.rehearsal import Rehearsal, rehearse, wanted
from include.backfill.span import Span
from include.backfill.wish import MEANINGS, MODES, Wish, wish
from include.contract.settings import load
from include.errors import PipelineError, SetupError
from include.lake import Lake
from include.plans import numbered, plans_of
from include.settings import PipelineSettings, pipeline_settings
from include.statements import statement
from include.warehouse import Warehouse


class Parts(NamedTuple):
    """What a backfill looks at."""

    lake: Lake
    warehouse: Warehouse
    kafka: Mapping[str, Any]
    settings: PipelineSettings


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Run the command.

    Returns:
        0 when all is well, 1 when an hour failed or a part is away, 2 when the request is wrong, 130 after Ctrl-C.

    """
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        airflow = load(BackfillSettings, "BACKFILL_", environ)
        if options.cancel or options.watch:
            return _running(Airflow(airflow), console, environ, cancel=options.cancel)
        return _run(options, airflow, console, environ)
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _options(arguments: list[str]) -> argparse.Namespace:
    modes = "; ".join(f"{mode}: {meaning}" for mode, meaning in MEANINGS.items())
    parser = argparse.ArgumentParser(
        prog="python -m include.backfill", description=__doc__, epilog=f"Modes. {modes}.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--from", dest="start", metavar="TIME", help="2026-11-22, 2026-11-22T05 or 2026-11-22T05:30; UTC")
    add("--to", dest="end", metavar="TIME", help="end of the range, exclusive")
    add("--mode", choices=MODES, default="check", help="what to do (default: %(default)s)")
    add("--reason", default="", help="why; needed by every mode but check, and kept in CONTROL.BACKFILLS")
    add("--requested-by", default="", help="who asks (default: the user who runs the command)")
    add("--occurred", action="store_true", help="the range is when events occurred, not when they arrived")
    add("--publish", action="store_true", help="offer to vendors what they were not offered yet")
    add("--max-active-runs", type=int, default=2, metavar="N", help="hours at once (default: %(default)s)")
    add("--resume", action="store_true", help="only the hours that failed, were cancelled or never ran")
    add("--no-wait", action="store_true", help="start it and return")
    add("--watch", action="store_true", help="follow the backfill that is running")
    add("--cancel", action="store_true", help="cancel the backfill that is running; hours that run are finished")
    options = parser.parse_args(arguments)
    if not (options.watch or options.cancel) and not (options.start and options.end):
        parser.error("--from and --to are needed")
    return options


def _run(options: argparse.Namespace, airflow: BackfillSettings, console: Console, environ: Mapping[str, str]) -> int:
    asked = _wish(options)
    with _parts(environ) as parts:
        found = _span(options, parts)
        for note in found.notes:
            console.print(f"Note: {note}.", markup=False)
        rehearsal = _rehearsal(parts, found, asked)
        screen.rehearsal(console, found, rehearsal, asked.mode, airflow.credits_per_hour, options.max_active_runs)
    if not asked.changes:
        return 1 if rehearsal.expired or any(hop.unexplained for hop in rehearsal.findings) else 0
    signed_in = Airflow(airflow)
    started = datetime.now(UTC)
    backfill = signed_in.create(
        found.start,
        found.end - span.HOUR,
        {name: value for name, value in msgspec.to_builtins(asked).items() if value not in {"", None}},
        options.max_active_runs,
        "failed" if options.resume else "completed",
    )
    if options.no_wait:
        console.print(f"Backfill {backfill} is started; follow it at {signed_in.page()}", markup=False)
        return 0
    return _follow(signed_in, backfill, found, started, console, environ)


def _wish(options: argparse.Namespace) -> Wish:
    parameters = {
        "mode": options.mode,
        "reason": options.reason,
        "requested_by": options.requested_by or getpass.getuser(),
        "publish": options.publish,
    }
    if options.occurred:
        last = span.moment(options.end) - span.HOUR / 3600
        parameters |= {"occurred_from": f"{span.moment(options.start):%Y-%m-%d}", "occurred_to": f"{last:%Y-%m-%d}"}
    return wish(parameters)


def _span(options: argparse.Namespace, parts: Parts) -> Span:
    start, end, now = span.moment(options.start), span.moment(options.end), datetime.now(UTC)
    if options.occurred:
        start, end = _arrived(parts.warehouse, start, end, now)
    return span.within_chain(parts.lake, span.whole_hours(start, end, now))


def _arrived(warehouse: Warehouse, start: datetime, end: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Return the hours in which EVENTS that occurred in [start, end) arrived; later ones are not over yet."""
    values = {"first": f"{start:%Y-%m-%d}", "last": f"{end - span.HOUR / 3600:%Y-%m-%d}"}
    rows = warehouse.run(statement("backfill/record", "arrival_hours"), values, "looking for arrival hours")
    over = now.replace(minute=0, second=0, microsecond=0)
    hours = [hour for row in rows if (hour := row[0].replace(tzinfo=UTC)) < over]
    if not hours:
        raise SetupError(f"EVENTS has no event that occurred from {values['first']} to {values['last']}")
    return hours[0], hours[-1] + span.HOUR


def _rehearsal(parts: Parts, found: Span, asked: Wish) -> Rehearsal:
    sequences = numbered(plans_of(parts.lake, found.start, found.end))
    return rehearse(*parts, wanted(parts.lake, asked, sequences))


def _running(airflow: Airflow, console: Console, environ: Mapping[str, str], *, cancel: bool) -> int:
    active = airflow.active()
    if active is None:
        console.print("No backfill of settle_hour is running.")
        return 0
    if cancel:
        airflow.cancel(active["id"])
        console.print(
            f"Backfill {active['id']} is cancelled. Hours that were running are finished; "
            "the same command with --resume does the rest."
        )
        return 0
    start, end = (datetime.fromisoformat(active[name]) for name in ("from_date", "to_date"))
    began = datetime.fromisoformat(active["created_at"])
    return _follow(airflow, active["id"], Span(start, end + span.HOUR), began, console, environ)


def _follow(
    airflow: Airflow, backfill: int, found: Span, since: datetime, console: Console, environ: Mapping[str, str]
) -> int:
    try:
        failed = follow.until_over(airflow, backfill, found, console)
    except KeyboardInterrupt:
        console.print(
            f"\nStopped watching. Backfill {backfill} goes on in Airflow: {airflow.page()}\n"
            "--watch shows it again, --cancel ends it after the hours that run.",
            markup=False,
        )
        return 130
    with _parts(environ) as parts:
        screen.closing(console, parts.warehouse, found, since)
    if failed:
        console.print(f"{failed} hours failed; their messages are at {airflow.page()}", markup=False)
    return 1 if failed else 0


@contextmanager
def _parts(environ: Mapping[str, str]) -> Iterator[Parts]:
    settings = pipeline_settings(environ)
    with clients.lake(environ, settings) as lake, clients.warehouse(environ) as warehouse:
        yield Parts(lake, warehouse, clients.kafka(environ), settings)
