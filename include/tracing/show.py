"""Prints a trace: one table per story, then what was searched."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from include.tracing.model import Step, Story, Trace

_NOT_YET = ("not ", "failed", "refused")


def show(console: Console, trace: Trace) -> None:
    """Print all stories of an event id, or that there is none."""
    for story in trace.stories:
        console.print(_table(story))
    if not trace.stories:
        of = f" of source {trace.source_id}" if trace.source_id else ""
        spool = "It may still be in a spool of the API, see docs/runbooks/spool.md."
        _say(console, f"No event {trace.event_id}{of} was found. {spool}")
    for sentence in trace.searched:
        _say(console, sentence)


def _table(story: Story) -> Table:
    name = f" ({story.event_name})" if story.event_name else ""
    where = {"lake": "the lake, not loaded", "topic": "Kafka, not in the lake"}.get(story.place, story.place)
    table = Table(title=Text(f"{story.source_id}:{story.event_id}{name} in {where}"), title_justify="left")
    table.add_column("hop", no_wrap=True)
    table.add_column("UTC", no_wrap=True)
    table.add_column("after s", justify="right", no_wrap=True)
    table.add_column("what is known", overflow="fold")
    for step in story.steps:
        table.add_row(*_cells(step))
    return table


def _cells(step: Step) -> tuple[Text, Text, Text, Text]:
    style = "bold yellow" if step.name.startswith(_NOT_YET) else ""
    moment = "" if step.at is None else f"{step.at:%Y-%m-%d %H:%M:%S.%f}"[:-3]
    passed = "" if step.after_s is None else f"{step.after_s:+.3f}"
    return Text(step.name, style), Text(moment), Text(passed), Text(step.text)


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
