"""The envelope: one accepted request as one Kafka record, written by the ingest API and read by the drain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, cast

import msgspec

VERSION = "1"
ContentEncoding = Literal["gzip", "identity"]

_REJECTED = msgspec.json.Decoder(dict[int, str], strict=False)
_WHERE_KNOWN = (
    "call", "platform", "country", "client_ip", "user_agent", "client_sent_at", "client_device_id", "part",
    "traceparent",
)  # fmt: skip


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What the edge knows about a request (record headers) beside the client's own bytes (record value).

    `rejected` maps the index of each event that the edge found bad to the reason. What is written only where the
    edge knows it: `call`, the kind of call where the dialect has several; `platform`, the source's; `country` and
    `client_ip` as the gateway and the settings allow; `user_agent`; `client_sent_at` and `client_device_id`, where
    a client sends them beside the body; `part`, as `2/3`, of a request too large for one record; `traceparent`
    (W3C), of its span where traces are on. Headers that this version does not know are ignored when reading, so
    that a newer API can run before a newer drain.
    """

    request_id: str
    source_id: str
    dialect: str
    received_at: datetime
    content_encoding: ContentEncoding
    event_count: int
    value: bytes
    rejected: Mapping[int, str] = {}
    call: str = ""
    platform: str = ""
    country: str = ""
    client_ip: str = ""
    user_agent: str = ""
    client_sent_at: str = ""
    client_device_id: str = ""
    part: str = ""
    traceparent: str = ""

    def headers(self) -> list[tuple[str, str | bytes | None]]:
        """Return the record headers, all UTF-8 text."""
        found: list[tuple[str, str | bytes | None]] = [
            ("envelope_version", VERSION),
            ("request_id", self.request_id),
            ("source_id", self.source_id),
            ("dialect", self.dialect),
            ("received_at", format_time(self.received_at)),
            ("content_encoding", self.content_encoding),
            ("event_count", str(self.event_count)),
        ]
        if self.rejected:
            found.append(("rejected", msgspec.json.encode(self.rejected)))
        found.extend((name, text) for name in _WHERE_KNOWN if (text := getattr(self, name)))
        return found

    @classmethod
    def parse(cls, headers: Iterable[tuple[str, bytes | None]] | None, value: bytes | None) -> Envelope:
        """Read a record back; raises ValueError with the reason when it is not an envelope of this version."""
        texts = _texts(headers or ())
        if (version := _needed(texts, "envelope_version")) != VERSION:
            raise ValueError(f"envelope_version is {version!r}, this reader knows {VERSION!r}")
        if value is None:
            raise ValueError("the record has no value")
        encoding = _needed(texts, "content_encoding")
        if encoding not in {"gzip", "identity"}:
            raise ValueError(f"content_encoding is {encoding!r}, not gzip or identity")
        count = _count(_needed(texts, "event_count"))
        return cls(
            request_id=_needed(texts, "request_id"),
            source_id=_needed(texts, "source_id"),
            dialect=_needed(texts, "dialect"),
            received_at=_time(_needed(texts, "received_at")),
            content_encoding=cast("ContentEncoding", encoding),
            event_count=count,
            value=value,
            rejected=_rejected(texts.get("rejected"), count),
            **{name: texts[name] for name in _WHERE_KNOWN if name in texts},
        )


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds")[:-6] + "Z"


def _texts(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    try:
        return {name: (raw or b"").decode() for name, raw in headers}
    except UnicodeDecodeError as error:
        raise ValueError("a record header is not UTF-8") from error


def _needed(texts: Mapping[str, str], name: str) -> str:
    if not texts.get(name):
        raise ValueError(f"record header {name} is missing")
    return texts[name]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(f"event_count is {text[:20]!r}, not a number")
    return int(text)


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"received_at is {text[:40]!r}, not an RFC 3339 time") from error
    if moment.tzinfo is None:
        raise ValueError(f"received_at is {text[:40]!r}, without an offset")
    return in_utc


def _rejected(text: str | None, count: int) -> dict[int, str]:
    if text is None:
        return {}
    try:
        found = _REJECTED.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"header rejected is not an object of index and reason: {error}") from error
    if any(not 0 <= index < count for index in found):
        raise ValueError(f"header rejected names an index outside 0..{count - 1}")
    return found
