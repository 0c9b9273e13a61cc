"""How many events a request may have, for every dialect; a list that is far too long is not even decoded."""

from __future__ import annotations

from include.contract.splitting import has_more_than
from ingest_api.outcomes import Outcome, RefusedError

_LARGE_BYTES = 256 * 1024
"""Whatever a smaller body lists is decoded in a moment and takes little memory."""
_REMEDY = "send fewer at a time"


def require_few(inflated: bytes, most: int, events_key: str) -> None:
    """Raise RefusedError for a large body that lists more than `most` events, before they are decoded."""
    if len(inflated) > _LARGE_BYTES and has_more_than(most, inflated, events_key):
        raise RefusedError(
            Outcome.TOO_MANY_EVENTS, f"more than {most:,} events in one request, which is the limit; {_REMEDY}"
        )


def require_count(count: int, most: int) -> None:
    """Raise RefusedError for no events at all, or more than `most`."""
    if count == 0:
        raise RefusedError(Outcome.NO_EVENTS)
    if count > most:
        raise RefusedError(
            Outcome.TOO_MANY_EVENTS, f"{count:,} events in one request, the limit is {most:,}; {_REMEDY}"
        )
