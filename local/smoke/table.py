"""Prints the comparison hop by hop, with examples of every difference."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from local.smoke.compare import Hop

_EXAMPLES = 5


def show(console: Console, hops: Sequence[Hop]) -> None:
    """Print one row per hop, then the differences."""
    table = Table(title="Ids at every hop", title_justify="left")
    table.add_column("hop", no_wrap=True)
    for name in ("expected", "found", "missing", "unexpected", "too often"):
        table.add_column(name, justify="right")
    table.add_column("")
    for hop in hops:
        counts = (hop.expected, hop.found, len(hop.missing), len(hop.unexpected), len(hop.too_often))
        verdict = "[green]equal[/]" if hop.is_equal else "[bold red]DIFFERENT[/]"
        table.add_row(hop.name, *(f"{count:,}" for count in counts), verdict)
    console.print(table)
    for hop in hops:
        for kind in ("missing", "unexpected", "too_often"):
            ids: tuple[str, ...] = getattr(hop, kind)
            if ids:
                more = f" and {len(ids) - _EXAMPLES:,} more" if len(ids) > _EXAMPLES else ""
                examples = ", ".join(ids[:_EXAMPLES])
                console.print(f"{hop.name}: {kind.replace('_', ' ')}: {examples}{more}", markup=False, highlight=False)
