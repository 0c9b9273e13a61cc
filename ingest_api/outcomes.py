"""Every answer that the API can give, in one table: status, stable id, and what a client should do with it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class _Row(NamedTuple):
    status: int
    error: str
    meaning: str


class Outcome(Enum):
    """One member per answer; `error` is the stable id that clients and metrics see."""

    ACCEPTED = _Row(200, "accepted", "All events are stored durably; those listed in `quarantined` are kept aside")
    INVALID_BODY = _Row(400, "invalid_body", "The body is not JSON with a list of events; do not send it again")
    INVALID_PARAMETER = _Row(400, "invalid_parameter", "The URL names a dialect or call that is not known; see /docs")
    INVALID_GZIP = _Row(400, "invalid_gzip", "The body is not a whole gzip stream; compress it again")
    INVALID_COMPRESSION = _Row(
        400, "invalid_compression", "The body is not whole in the encoding that it declares; compress it again"
    )
    NO_EVENTS = _Row(400, "no_events", "The list of events is empty; there is nothing to store")
    MISSING_KEY = _Row(401, "missing_key", "No write key came; send Authorization: Bearer <write key>, or Basic")
    UNKNOWN_KEY = _Row(401, "unknown_key", "No source has this write key; correct it, keep the events")
    SOURCE_DISABLED = _Row(403, "source_disabled", "The source is switched off; ask its owner")
    NOT_FOUND = _Row(404, "not_found", "There is no such route; /docs shows them all")
    METHOD_NOT_ALLOWED = _Row(405, "method_not_allowed", "The route exists for other methods; see the Allow header")
    INCOMPLETE_BODY = _Row(
        408, "incomplete_body", "The connection ended before the body did; send the same bytes again"
    )
    BODY_TIMEOUT = _Row(408, "body_timeout", "The body did not arrive in time; send the same bytes again")
    BODY_TOO_LARGE = _Row(413, "body_too_large", "The body is above the limit; send fewer events at a time")
    TOO_MANY_EVENTS = _Row(413, "too_many_events", "More events than one request may have; send fewer at a time")
    RECORD_TOO_LARGE = _Row(
        413, "record_too_large", "Kafka does not take a record of this size; make what is beside the events smaller"
    )
    UNSUPPORTED_ENCODING = _Row(415, "unsupported_encoding", "Only gzip, zstd, br, deflate and no encoding are known")
    RATE_LIMITED = _Row(
        429, "rate_limited", "More events than the source or device may send; send the same bytes after Retry-After"
    )
    OVERLOADED = _Row(429, "overloaded", "Too much is in progress; send the same bytes again after Retry-After")
    INTERNAL = _Row(500, "internal", "A fault of the API; send the same bytes again later")
    NOT_ACKNOWLEDGED = _Row(503, "not_acknowledged", "Kafka did not acknowledge in time; send the same bytes again")
    QUEUE_FULL = _Row(503, "queue_full", "Too much is waiting for Kafka; send the same bytes again after Retry-After")
    SPOOL_FULL = _Row(
        503, "spool_full", "Kafka is away and the spool takes nothing more; send the same bytes again after Retry-After"
    )
    KEY_NOT_YET_KNOWN = _Row(
        503, "key_not_yet_known", "No source has this write key yet; send the same bytes again, and tell the operator"
    )
    SOURCE_ON_HOLD = _Row(
        503, "source_on_hold", "The source was switched off; send the same bytes again, and ask its owner"
    )
    NO_SOURCES = _Row(503, "no_sources", "The list of sources cannot be read yet; send the same bytes again")

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.value.status

    @property
    def error(self) -> str:
        """Return the stable id."""
        return self.value.error

    @property
    def meaning(self) -> str:
        """Say what it means and what to do."""
        return self.value.meaning


class RefusedError(Exception):
    """Ends a request with an outcome other than success; `message` is what the client reads.

    `details` are further keys of the answer that a dialect's SDKs look at; `retry_after_seconds` is how long to wait,
    where that is known. `source_id` and `key_fingerprint` are for the log alone: which source is switched off, and the
    digits of an unknown key's hash by which `python -m ingest_api.sources list` shows keys.
    """

    def __init__(
        self,
        outcome: Outcome,
        message: str = "",
        details: Mapping[str, object] | None = None,
        retry_after_seconds: int | None = None,
        *,
        source_id: str = "",
        key_fingerprint: str = "",
    ) -> None:
        super().__init__(message or outcome.meaning)
        self.outcome = outcome
        self.details = details or {}
        self.message = message or outcome.meaning
        self.retry_after_seconds = retry_after_seconds
        self.source_id = source_id
        self.key_fingerprint = key_fingerprint
