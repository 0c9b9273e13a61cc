"""What is taken of a request and yet is hardly meant: told by `/v1/events:validate` beside its verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from include.contract.event import Parsed
from include.contract.extra import REQUEST_BYTES, REQUEST_KEY, Fields

_SHOWN_CHARACTERS = 100
_booleans = msgspec.json.Decoder(dict[str, bool])
_OMITTED = re.compile(rb'"\$*' + re.escape(REQUEST_KEY.encode()) + rb'":\{"omitted_bytes":(\d+)\}')


def remarks(parsed: Parsed, request: Fields, sent_at_key: str) -> Iterator[str]:
    """Yield a sentence for each; `request` is what the body has beside its events."""
    sent_at = bytes(request.get(sent_at_key, b"null"))
    if parsed.sent_at is None and sent_at != b"null":
        shown = sent_at.decode(errors="replace")[:_SHOWN_CHARACTERS]
        yield f"{sent_at_key}: {shown} is no time (RFC 3339 with offset); clocks are not corrected, and EXTRA keeps it"
    if parsed.extra and (omitted := _OMITTED.search(next(iter(parsed.extra.values())))):
        size = int(omitted[1])
        yield f"beside the events are {size:,} bytes; above {REQUEST_BYTES:,} they are dropped and counted"
    events = [event for index, event in enumerate(parsed.events) if index not in parsed.problems]
    if without := sum(event.occurred_at is None for event in events):
        yield f"occurred_at: missing in {without:,} of {len(events):,} events; their time is that of their arrival"
    if without := sum(bytes(event.consent) == b"null" for event in events):
        yield f"consent: missing in {without:,} of {len(events):,} events; they reach no vendor"
    if odd := sum(_is_odd(bytes(event.consent)) for event in events):
        yield (
            f"consent: neither true nor false in {odd:,} of {len(events):,} events; "
            'only the JSON value true is consent, "true" and 1 count as no'
        )


def _is_odd(consent: bytes) -> bool:
    if not consent.startswith(b"{"):  # missing, or failed by the suite
        return False
    try:
        _booleans.decode(consent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True
    return False
