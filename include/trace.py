"""`make trace ID=…`: what became of one event, hop by hop, with times; the function is for a UI as well."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from typing import Any

import msgspec
from rich.console import Console

from include import clients
from include.errors import PipelineError
from include.lake import Lake
from include.settings import pipeline_settings
from include.tracing.model import Limits, Trace
from include.tracing.search import Search
from include.tracing.show import show
from include.warehouse import Warehouse

_DEFAULTS = Limits()


def trace(
    event_id: str,
    source_id: str | None,
    lake: Lake,
    warehouse: Warehouse | None,
    kafka: Mapping[str, Any],
    limits: Limits = _DEFAULTS,
) -> Trace:
    """Return everything that warehouse, lake and Kafka know of an event id.

    What the warehouse does not have is looked for in sealed files, and in the records that no sealed plan has. A part
    that does not answer is named in `searched`, and the others go on; `warehouse` is None where it is away.
    """
    return Search(event_id, source_id, lake, warehouse, kafka, limits).run()


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command; exit status 0 found, 1 not found or nothing could be asked."""
    options = _options(arguments)
    try:
        found = _trace(options, environ)
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if options.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        show(Console(width=None if sys.stdout.isatty() else 200), found)
    return 0 if found.stories else 1


def _trace(options: argparse.Namespace, environ: Mapping[str, str]) -> Trace:
    refused: tuple[str, ...] = ()
    limits = Limits(options.plans, options.records, options.occurred)
    with ExitStack() as stack:
        lake = stack.enter_context(clients.lake(environ, pipeline_settings(environ)))
        warehouse: Warehouse | None = None
        try:
            warehouse = stack.enter_context(clients.warehouse(environ))
        except PipelineError as error:
            refused = (f"The warehouse could not be asked: {error}",)
        source = options.source or None
        found = trace(options.event_id, source, lake, warehouse, clients.kafka(environ), limits)
    return msgspec.structs.replace(found, searched=(*refused, *found.searched))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m include.trace", description=__doc__)
    parser.add_argument("event_id", help="the event's id, as the client gave it or as the warehouse has it")
    parser.add_argument("--source", default="", help="only of this source")
    parser.add_argument(
        "--occurred", type=date.fromisoformat, metavar="DATE",
        help="date of the event's occurred_at in UTC, 1970-01-01 where it has none; without it all of EVENTS is read, "
        "because nothing else says on which date an id lies",
    )  # fmt: skip
    parser.add_argument("--plans", type=int, default=_DEFAULTS.plans, help="most plans whose files are searched")
    parser.add_argument("--records", type=int, default=_DEFAULTS.records, help="most records that are searched")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], os.environ))
