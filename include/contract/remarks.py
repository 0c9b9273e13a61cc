"""What is taken of a request and yet is hardly meant: told by `/v1/events:validate` beside its verdict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from include.contract.event import Event, Parsed
from include.contract.extra import REQUEST_BYTES, REQUEST_KEY, Fields, readable_fields

_SHOWN_CHARACTERS = 100
_SHOWN_KEYS = 5
_booleans = msgspec.json.Decoder(dict[str, bool])
_OMITTED = re.compile(rb'"\$*' + re.escape(REQUEST_KEY.encode()) + rb'":\{"omitted_bytes":(\d+)\}')

_BY_PLAIN = {name.replace("_", ""): name for name in Event.__struct_fields__}


def remarks(parsed: Parsed, request: Fields, sent_at_key: str) -> Iterator[str]:
    """Yield a sentence for each; `request` is what the body has beside its events."""
    sent_at = bytes(request.get(sent_at_key, b"null"))
    if parsed.sent_at is None and sent_at != b"null":
        shown = sent_at.decode(errors="replace")[:_SHOWN_CHARACTERS]
        yield f"{sent_at_key}: {shown} is no time (RFC 3339 with offset); clocks are not corrected, and EXTRA keeps it"
    if parsed.extra and (omitted := _OMITTED.search(next(iter(parsed.extra.values())))):
        size = int(omitted[1])
        yield f"beside the events are {size:,} bytes; above {REQUEST_BYTES:,} they are dropped and counted"
    yield from _of_events(parsed)
    yield from _same_ids(parsed)
    if sent_at_key == "sent_at":  # the vendors' dialects have names of their own
        yield from _misspelled(parsed.extra)


def _of_events(parsed: Parsed) -> Iterator[str]:
    events = [event for index, event in enumerate(parsed.events) if index not in parsed.problems]
    of_all = f"{len(events):,} {'events that can be read' if parsed.problems else 'events'}"
    if without := sum(event.occurred_at is None for event in events):
        yield f"occurred_at: missing in {without:,} of {of_all}; their time is that of their arrival"
    if without := sum(bytes(event.consent) == b"null" for event in events):
        yield f"consent: missing in {without:,} of {of_all}; they reach no vendor"
    if odd := sum(_is_odd(bytes(event.consent)) for event in events):
        yield (
            f"consent: neither true nor false in {odd:,} of {of_all}; "
            'only the JSON value true is consent, "true" and 1 count as no'
        )


def _same_ids(parsed: Parsed) -> Iterator[str]:
    """Name the first two events that share an id and are not the same: of those only one is kept, whichever it is."""
    first: dict[str, int] = {}
    for index, event in enumerate(parsed.events):
        if event.event_id and event != parsed.events[first.setdefault(event.event_id, index)]:
            yield (
                f"event_id: events {first[event.event_id]} and {index} have the same id and are not the same event; "
                "only one of them is kept"
            )
            return


def _misspelled(extra: Mapping[int, bytes]) -> Iterator[str]:
    """Name unknown keys that are spelled like known ones, each with the number of events that have it."""
    found: Counter[str] = Counter()
    for raw in extra.values():
        found.update(key for key in readable_fields(raw) if _plain(key) in _BY_PLAIN)
    for key, events in found.most_common(_SHOWN_KEYS):
        yield f"{key}: no known field, kept in EXTRA of {events:,} events; did you mean {_BY_PLAIN[_plain(key)]}?"


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _is_odd(consent: bytes) -> bool:
    if not consent.startswith(b"{"):  # missing, or failed by the suite
        return False
    try:
        _booleans.decode(consent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True
    return False
