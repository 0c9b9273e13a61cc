"""Amplitude's HTTP V2, Batch and Identify bodies in our columns (HTTP V2 API, Identify API)."""

from __future__ import annotations

from msgspec import Raw

from include.contract.dialects import kinds, requests
from include.contract.dialects.mapping import Column, Mapped, Table
from include.contract.envelope import Envelope
from include.contract.event import Parsed
from include.contract.extra import Fields

CALLS = ("httpapi", "batch", "identify", "groupidentify")

TABLE = Table(
    (
        Column("event_id", "insert_id", kinds.identifier),
        Column("event_name", "event_type", kinds.name),
        Column("user_id", "user_id", kinds.identifier),
        Column("device_id", "device_id", kinds.identifier),
        Column("session_id", "session_id", kinds.session),
        Column("occurred_at", "time", kinds.epoch_ms),
        Column("platform", "platform", kinds.platform),
        Column("app_version", "app_version"),
        Column("app_version", "version_name"),
        Column("os_name", "os_name"),
        Column("os_version", "os_version"),
        Column("device_model", "device_model"),
        Column("locale", "language"),
        Column("country", "country"),
        Column("library_name", "library", kinds.before_slash),
        Column("library_version", "library", kinds.after_slash),
        Column("consent", "event_properties.consent", kinds.only_object),
        Column("event_properties", "event_properties", kinds.obj),
        Column("user_properties", "user_properties", kinds.obj),
    )
)
WRITE_KEYS = frozenset({"api_key"})
"""The edge's business; what it wrote over a key is worth nothing."""
_REQUEST = requests.Shape(
    ignored=WRITE_KEYS,
    sent_at=("client_upload_time",),
)
_NAMES = {"identify": "$identify", "groupidentify": "$groupidentify"}


def events_key(call: str) -> str:
    """Return the name of the list of events in a body."""
    return "identification" if call in _NAMES else "events"


def parse(body: bytes, envelope: Envelope) -> Parsed:
    """Decode an inflated body; raises NotARequestError, a ValueError, where it is none."""
    return requests.parse(body, envelope, events_key(envelope.call), _REQUEST, _map)


def _map(raw: bytes | Raw, fields: Fields, _request: Fields, envelope: Envelope) -> Mapped:
    mapped = TABLE.map(fields, envelope.call, raw)
    if envelope.call in _NAMES and mapped.event.event_name is None:
        mapped.event.event_name = _NAMES[envelope.call]
    return mapped
