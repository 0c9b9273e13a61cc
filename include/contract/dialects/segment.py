"""Segment's calls, and RudderStack's, which differ in keys and headers, in our columns (HTTP tracking API)."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from include.contract.dialects import kinds, requests
from include.contract.dialects.mapping import Column, Mapped, Table, merged
from include.contract.envelope import Envelope
from include.contract.event import Parsed
from include.contract.extra import UNREADABLE, Fields

CALLS = ("track", "identify", "page", "screen", "group", "alias")
BATCH = "batch"

TABLE = Table(
    (
        Column("event_id", "messageId", kinds.identifier),
        Column("event_name", "event", kinds.name, frozenset({"track"})),
        Column("event_name", "type", kinds.name),
        Column("user_id", "userId", kinds.identifier),
        Column("device_id", "anonymousId", kinds.identifier),
        Column("session_id", "context.sessionId", kinds.identifier),
        # RudderStack's Node SDK sets originalTimestamp anew whenever it sends; a retry must repeat the time.
        Column("occurred_at", "timestamp", kinds.moment),
        Column("occurred_at", "originalTimestamp", kinds.moment),
        Column("platform", "context.device.type", kinds.platform),
        Column("platform", "context.os.name", kinds.platform),
        Column("platform", "channel", kinds.platform),
        Column("app_version", "context.app.version"),
        Column("os_name", "context.os.name"),
        Column("os_version", "context.os.version"),
        Column("device_model", "context.device.model"),
        Column("locale", "context.locale"),
        Column("country", "context.location.country"),
        Column("library_name", "context.library.name"),
        Column("library_version", "context.library.version"),
        Column("consent", "context.consent.categoryPreferences", kinds.only_object),
        Column("event_properties", "properties", kinds.obj),
        # The traits of a group call are the group's, not the person's: they stay in extra.
        Column("user_properties", "traits", kinds.obj, frozenset({"identify"})),
        Column("user_properties", "context.traits", kinds.only_object),
    )
)
WRITE_KEYS = frozenset({"writeKey"})
_REQUEST = requests.Shape(
    ignored=WRITE_KEYS,
    sent_at=("sentAt",),
    merged=frozenset({"context", "integrations"}),
)


def events_key(call: str) -> str:
    """Return the name of the list of events in a body; empty for a route of one call."""
    return BATCH if call in {"", BATCH} else ""


def parse(body: bytes, envelope: Envelope) -> Parsed:
    """Decode an inflated body; raises NotARequestError, a ValueError, where it is none."""
    return requests.parse(body, envelope, events_key(envelope.call), _REQUEST, _map)


def _map(raw: bytes | Raw, fields: Fields, request: Fields, envelope: Envelope) -> Mapped:
    own = fields
    for key in _REQUEST.merged & request.keys():
        fields = merged(request, fields, key)
    if not events_key(envelope.call):
        fields = {**fields, "type": Raw(msgspec.json.encode(envelope.call))}
    mapped = TABLE.map(fields, _call(fields), raw if fields is own else None)
    if mapped.event.device_id is None and envelope.client_device_id:
        mapped.event.device_id = envelope.client_device_id
    return mapped


def _call(fields: Fields) -> str:
    try:
        return kinds.text(fields["type"]) or ""
    except (KeyError, *UNREADABLE):
        return ""
