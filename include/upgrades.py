"""How rows of one contract version become rows of the next, for a restatement from the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from include.errors import SetupError

Step = Callable[[pa.Table], pa.Table]
UPGRADES: Mapping[int, Step] = {}
"""The step from each contract version to the next, over rows of EVENT_SCHEMA; every version but the newest has one."""


def upgrade(table: pa.Table, version: int, wanted: int) -> pa.Table:
    """Return rows of an older contract version as the wanted one derives them.

    Raises:
        SetupError: a step is missing.

    """
    for step in range(version, wanted):
        if step not in UPGRADES:
            raise SetupError(
                f"rows of contract version {step} cannot be derived again from the lake: write the step from {step} to "
                f"{step + 1} in include/upgrades.py, see docs/runbooks/restate.md"
            )
        table = UPGRADES[step](table)
    return table
