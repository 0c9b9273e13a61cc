"""Draws the board with rich, for any size of terminal: what is needed least goes first where there is little room."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from local.board.view import View, event_rows, interval_row, latency_rows, next_interval_seconds, parts_line, restarted
from local.watch import PartStatus

_WIDE = 100
_COLOURS = {"ready": "green", "done": "green", "starting": "yellow", "waiting": "yellow"}
_STEP_COLOURS = {"planned": "yellow", "sealed": "yellow", "loaded": "cyan", "published": "cyan", "at": "green"}
_MESSAGES = 3
_INTERVALS = 8
_HEADING = 1


def draw(view: View, messages: Sequence[str], width: int, height: int) -> RenderableType:
    """Return the picture for a terminal of this size."""
    foot = [*_messages(view, messages, width), *_links(view, width)]
    events = _events(view)
    services = [part for part in view.parts if part.state != "done"]
    top: list[RenderableType] = [_head(view, width)]
    if width >= _WIDE:
        side_by_side = Table.grid(padding=(0, 4))
        side_by_side.add_row(_parts(services), events)
        top += [Text(), side_by_side, Text()]
        left = height - 3 - max(len(services), events.row_count) - _HEADING - len(foot)
    else:
        top += [Text(parts_line(view.parts), style=_overall(view)), events]
        left = height - 2 - events.row_count - _HEADING - len(foot)
    if left > _HEADING:
        top.append(_intervals(view, min(left - _HEADING, _INTERVALS)))
    return Group(*top, *foot)


def _head(view: View, width: int) -> Text:
    minutes, seconds = divmod(int(view.seconds), 60)
    text = f"Analytics Event Backend · up {minutes}:{seconds:02d} · Ctrl-C stops everything"
    return _line(text, width, "bold")


def _parts(services: list[PartStatus]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("part", "health", "port"):
        table.add_column(name, no_wrap=True)
    for part in services:
        again = f" ({restarted(part.restarts)})" if part.restarts else ""
        state = Text(f"● {part.state}{again}", style=_COLOURS.get(part.state, "bold red"))
        table.add_row(part.name, state, str(part.port or ""))
    return table


def _events(view: View) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("events", no_wrap=True)
    table.add_column("since start", justify="right", no_wrap=True)
    table.add_column("in all", justify="right", no_wrap=True)
    for row in event_rows(view):
        table.add_row(*row, style="red" if row[0] == "not acknowledged" else "")
    for name, value in latency_rows(view.snapshot):
        table.add_row(Text(name, style="dim"), Text(value, style="bold"))
    return table


def _intervals(view: View, rows: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("interval", no_wrap=True)
    for name in ("records", "events", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state, seconds after its end", no_wrap=True)
    for state in reversed(view.snapshot.intervals[-rows:]):
        *cells, step = interval_row(state)
        table.add_row(*cells, Text(step, style=_STEP_COLOURS[step.split()[0]]))
    return table


def _messages(view: View, messages: Sequence[str], width: int) -> list[Text]:
    problems = [_line(problem, width, "yellow") for problem in view.snapshot.problems]
    return [*problems, *(_line(message, width, "red") for message in messages[-_MESSAGES:])]


def _links(view: View, width: int) -> list[Text]:
    rows = [_line(f"  {name:16} {where}", width, "") for name, where in view.links]
    if view.first_arrival_seconds is None:
        left = next_interval_seconds()
        waiting = f"Waiting for the first events at the vendor; this minute's are staged in {left:.0f} s."
        return [Text(), _line(waiting, width, "dim"), *rows]
    arrived = f"The first events arrived at the vendor after {view.first_arrival_seconds:.0f} s. Look around:"
    return [Text(), _line(arrived, width, "bold green"), *rows]


def _overall(view: View) -> str:
    return "green" if all(_COLOURS.get(part.state) == "green" for part in view.parts) else "bold red"


def _line(text: str, width: int, style: str) -> Text:
    line = Text(text, style=style, no_wrap=True, overflow="ellipsis")
    line.truncate(width, overflow="ellipsis")
    return line
