"""What can happen to a step in a crash audit, and the count of what did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

KILL, OVERTAKEN_KILLED, OVERTAKEN = "killed", "overtaken by a second attempt, then killed", "overtaken, then goes on"
PART, CUT, DELAY, LOST = "a part dies", "network cut", "network slow", "answer lost"


@dataclass(frozen=True)
class Strike:
    """What happens, to which part where it is not the step itself, and where."""

    kind: str
    stops: Mapping[str, int]
    """It happens at the first of these boundaries that is reached, on that visit to it."""
    part: str = ""


@dataclass
class Tally:
    """What was done and what came of it; a crash is a SIGKILL of a step or the end of a part."""

    boundaries: dict[str, Counter[str]] = field(default_factory=dict)
    """By step: every boundary that was seen."""
    crashes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By step and boundary: the step was killed, or a part died under it."""
    kinds: Counter[str] = field(default_factory=Counter)
    parts: Counter[str] = field(default_factory=Counter)
    network: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    """By step and kind: errors that the next attempt made good."""
    problems: list[str] = field(default_factory=list)

    @property
    def crashed(self) -> int:
        """Number of crashes."""
        return self.crashes.total()

    def untouched(self) -> list[str]:
        """Return the boundaries that were seen and at which nothing died."""
        return [
            f"{step}: {name}" for step, seen in self.boundaries.items() for name in seen if not self.crashes[step, name]
        ]
