"""Which dialect and call a body of `/v1/events:validate` is in: as the URL says, else as its own look suggests."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs

from include.contract import dialects
from include.contract.dialects import CALLS_OF
from include.contract.dialects.segment import BATCH
from include.contract.extra import readable_fields
from include.contract.outline import Outline, outline
from include.contract.splitting import NotARequestError
from ingest_api import amplitude, events, segment
from ingest_api.counts import require_few
from ingest_api.foreign import Dialect
from ingest_api.outcomes import Outcome, RefusedError

_NAMES = {"rudderstack": "rudder"}
_SENT_AT = {"v1": "sent_at", "amplitude": "client_upload_time"}
_LOOKED_AT = 100
_KNOWN = (
    "this route takes the bodies of /v1/events, of Amplitude's /2/httpapi and of Segment's /v1/batch, "
    "and those of other routes with ?dialect= and &call="
)


class Form(NamedTuple):
    """A body's dialect and call; `assumed` tells that nobody said so."""

    shown: str
    call: str
    assumed: bool

    @property
    def dialect(self) -> str:
        """Name in the envelope."""
        return _NAMES.get(self.shown, self.shown)

    @property
    def events_key(self) -> str:
        """Name of the list of events; empty where the body is one event."""
        return dialects.reader(self.dialect, self.call).events_key

    @property
    def sent_at_key(self) -> str:
        """Name of the request's time of sending."""
        return _SENT_AT.get(self.shown, "sentAt")

    @property
    def foreign(self) -> Dialect | None:
        """How the vendor's own route takes the body; None for our own dialect."""
        match self.shown:
            case "v1":
                return None
            case "amplitude":
                return amplitude.of_call(self.call)
        return segment.DIALECT


def said(query_string: str) -> Form | None:
    """Return what the URL says; None where it says nothing. Raises RefusedError for what is not known."""
    found = parse_qs(query_string, keep_blank_values=True)
    shown, call = (found.get(name, [""])[-1] for name in ("dialect", "call"))
    if not shown and not call:
        return None
    if shown not in CALLS_OF:
        raise RefusedError(Outcome.INVALID_PARAMETER, f"dialect is one of {', '.join(CALLS_OF)}")
    calls = CALLS_OF[shown]
    if call and call not in calls:
        is_one_of = f"one of {', '.join(calls)}" if calls else "not needed"
        raise RefusedError(Outcome.INVALID_PARAMETER, f"with dialect={shown} call is {is_one_of}")
    return Form(shown, call or next(iter(calls), ""), assumed=False)


def assumed(body: bytes, max_events: int, is_rudder: Callable[[Outline], bool]) -> Form:
    """Return what a body looks like; raises RefusedError where that is nothing that this route knows by its look."""
    for events_key in (events.EVENTS, BATCH):
        require_few(body, max_events, events_key)
    try:
        seen = outline(body, events.EVENTS, "api_key", ())
    except NotARequestError as error:
        try:
            seen = outline(body, BATCH, "writeKey", ())
        except NotARequestError:
            raise RefusedError(Outcome.INVALID_BODY, f"{error}; {_KNOWN}") from error
        return Form("rudderstack" if is_rudder(seen) else "segment", BATCH, assumed=True)
    if _is_amplitude(seen):
        return Form("amplitude", "httpapi", assumed=True)
    return Form(events.DIALECT, "", assumed=True)


def _is_amplitude(seen: Outline) -> bool:
    """Judge by the first event that has a name in either dialect; where none has, by a key beside the events."""
    for raw in seen.events[:_LOOKED_AT]:
        fields = readable_fields(raw)
        if "event_name" in fields:
            return False
        if "event_type" in fields:
            return True
    return seen.key_literal is not None
