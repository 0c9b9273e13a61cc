"""Counts the event ids in EVENTS and FAILED_EVENTS, by SQL of its own through the ordinary connector."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from local.reader import EventKey

_FOLDER = Path(__file__).parent


def read(connection: Any, table: Literal["events", "failed_events"], since: datetime) -> Counter[EventKey]:  # noqa: ANN401
    """Count the ids of rows that the edge received at `since` or later."""
    sql = (_FOLDER / f"{table}.sql").read_text()
    with closing(connection.cursor()) as cursor:
        cursor.execute(sql, {"since": since.astimezone(UTC).replace(tzinfo=None)})
        return Counter((str(source), str(event)) for source, event in cursor.fetchall())
