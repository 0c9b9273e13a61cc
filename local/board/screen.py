"""Shows the board: redrawn in place on a terminal, as a line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from local.board.draw import draw
from local.board.view import View, plain_line

_LINE_SECONDS = 10.0
_MESSAGES = 20


class Screen:
    """What a person sees of one run; `say` prints a line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._began = time.monotonic()
        self._console = Console()
        self._live: Live | None = None
        self._messages: list[str] = []
        self._next_line = 0.0
        self._has_shown_links = False
        self._view: View | None = None

    def seconds(self) -> float:
        """Return the time since the run began."""
        return time.monotonic() - self._began

    def tell(self, line: str) -> None:
        """Tell what happened: as a line, or on the board while there is one."""
        if self._live is None:
            self._say(f"{self.seconds():6.1f} s  {line}")
        else:
            self._messages = [*self._messages, *line.splitlines()][-_MESSAGES:]

    @contextmanager
    def board(self) -> Iterator[None]:
        """Take over the terminal, where there is one; its last numbers stay as a line."""
        if not sys.stdout.isatty():
            yield
            return
        try:
            with Live(console=self._console, screen=True, auto_refresh=False) as self._live:
                yield
        finally:
            self._live = None
            for line in self._messages:
                self._say(line)
            if self._view is not None:
                self.tell(plain_line(self._view))

    def show(self, view: View) -> None:
        """Show the newest numbers."""
        self._view = view
        if self._live is not None:
            width, height = self._console.size
            self._live.update(draw(view, self._messages, width, height), refresh=True)
            return
        if time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            self.tell(plain_line(view))
        if view.first_arrival_seconds is not None and not self._has_shown_links:
            self._has_shown_links = True
            self.tell(f"The first events arrived at the vendor after {view.first_arrival_seconds:.0f} s. Look around:")
            for name, where in view.links:
                self._say(f"            {name:16} {where}")
