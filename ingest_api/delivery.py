"""Makes an envelope durable, for the verbs: in Kafka, or in the spool when Kafka does not acknowledge in time."""

from __future__ import annotations

from datetime import UTC, datetime

from include.contract.envelope import format_time
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.publisher import Headers, Publisher
from ingest_api.spool import Spool

_SPOOLED = {Outcome.NOT_ACKNOWLEDGED, Outcome.QUEUE_FULL}
_KAFKA_OVERHEAD_BYTES = 1024
"""More than what Kafka adds to a record that is alone in its batch."""


class Delivery:
    """The one way in; without a spool it is Kafka alone."""

    def __init__(self, publisher: Publisher, spool: Spool | None, max_record_bytes: int) -> None:
        self._publisher = publisher
        self._spool = spool
        self._max_record_bytes = max_record_bytes

    async def store(self, key: str | None, value: bytes, headers: Headers) -> None:
        """Return once the record is durable; RefusedError when it may not be.

        A record that Kafka left unacknowledged may be there all the same; it is spooled, and the warehouse removes
        the second copy. While Kafka acknowledges nothing, requests do not wait for it: what the spool drains tells
        when it is back.
        """
        spool = self._spool
        if spool is None:
            await self._send(key, value, headers)
            return
        if self._publisher.unacknowledged_at is None or spool.problem():
            try:
                await self._send(key, value, headers)
            except RefusedError as refused:
                if refused.outcome not in _SPOOLED:
                    raise
            else:
                return
        marked = _marked(headers)
        if not self._fits(key, value, marked):
            raise RefusedError(Outcome.RECORD_TOO_LARGE)
        await spool.append(key, value, marked)

    async def _send(self, key: str | None, value: bytes, headers: Headers) -> None:
        """Send; where Kafka calls a record too large that our topic has to take, the topic is wrong, not the client.

        Clients delete what is answered 413.
        """
        try:
            await self._publisher.send(key, value, headers)
        except RefusedError as refused:
            if refused.outcome is Outcome.RECORD_TOO_LARGE and self._fits(key, value, _marked(headers)):
                raise RefusedError(Outcome.NOT_ACKNOWLEDGED) from refused
            raise

    def _fits(self, key: str | None, value: bytes, headers: list[tuple[str, bytes | None]]) -> bool:
        """Tell whether a topic that is as it should be takes the record."""
        size = len(value) + len(key or "") + sum(len(name) + len(text or b"") for name, text in headers)
        return size + _KAFKA_OVERHEAD_BYTES <= self._max_record_bytes


def _marked(headers: Headers) -> list[tuple[str, bytes | None]]:
    """Return the headers as bytes, with the time of spooling."""
    pairs = [*headers, ("spooled_at", format_time(datetime.now(UTC)))]
    return [(name, text.encode() if isinstance(text, str) else text) for name, text in pairs]
