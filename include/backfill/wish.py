"""What a run of settle_hour is asked for: the parameters of a backfill, or the ordinary hourly settling."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, get_args

import msgspec

from include.errors import SetupError

Mode = Literal["check", "heal", "reload", "restate", "redrive"]
MODES: tuple[Mode, ...] = get_args(Mode)
MEANINGS: dict[Mode, str] = {
    "check": "write nothing, say what each mode would do",
    "heal": "drain, seal and load what is missing",
    "reload": "copy the sealed files again and insert what EVENTS does not have",
    "restate": "derive the rows again under the current contract version, and replace them batch by batch",
    "redrive": "judge the failed events again, and move into EVENTS what is valid now",
}


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters; dates of `occurred_*` are inclusive and leave out batches without such events."""

    mode: Mode = "check"
    reason: str = ""
    requested_by: str = ""
    publish: bool = False
    occurred_from: date | None = None
    occurred_to: date | None = None

    @property
    def changes(self) -> bool:
        """Tell whether anything may be written."""
        return self.mode != "check"

    @property
    def has_dates(self) -> bool:
        """Tell whether only events of some dates are asked for."""
        return (self.occurred_from or self.occurred_to) is not None

    def concerns(self, dates: set[str]) -> bool:
        """Tell whether a batch with events of these dates is asked for."""
        first, last = (self.occurred_from or date.min).isoformat(), (self.occurred_to or date.max).isoformat()
        return not self.has_dates or any(first <= one <= last for one in dates)


def wish(parameters: Mapping[str, Any]) -> Wish:
    """Read the parameters of a run.

    Raises:
        SetupError: a parameter is unknown or wrong, or a mode that changes something has no reason.

    """
    try:
        found = msgspec.convert({name: value for name, value in parameters.items() if value not in {"", None}}, Wish)
    except msgspec.ValidationError as error:
        raise SetupError(f"the parameters of this run are wrong: {error}; modes are {', '.join(MODES)}") from error
    if found.changes and not found.reason.strip():
        raise SetupError(f"mode {found.mode} needs a reason: say why, it is kept in CONTROL.BACKFILLS")
    if found.occurred_from and found.occurred_to and found.occurred_from > found.occurred_to:
        raise SetupError(f"occurred_from {found.occurred_from} is after occurred_to {found.occurred_to}")
    return found
