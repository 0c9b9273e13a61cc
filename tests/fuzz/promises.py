"""What must hold for every answer to a generated request, whatever the request is."""

from __future__ import annotations

import gzip
import json
import re
from codecs import BOM_UTF8

from include import topic
from include.rows import Chunk, Decoded
from include.staging import open_envelope
from ingest_api.outcomes import Outcome
from tests.fuzz import json_pieces, limits
from tests.fuzz.bodies import Sent
from tests.fuzz.topic_tail import Stored
from tests.fuzz.wire import WireAnswer
from tests.integration.ingest_server import KEY

_NAMES = {
    "invalid_body": r"JSON|expected|Expected|UTF-8|missing required field|cannot be decoded|twice",
    "invalid_gzip": r"gzip",
    "no_events": r"empty",
    "too_many_events": r"\d+ events .* limit is \d+",
    "body_too_large": r"more than \d+ bytes|above \d+ bytes",
    "unsupported_encoding": r"gzip",
    "incomplete_body": r"body",
}
"""By error: what its message must name."""

_ERRORS = {outcome.error: outcome for outcome in Outcome}


def refusal(answer: WireAnswer) -> None:
    """Fail unless a rejection says what, in the one shape that every error has; a fault of the API is never one."""
    body = answer.json
    assert isinstance(body, dict), body
    assert {"code", "error", "message", "request_id"} <= body.keys(), body
    assert body["code"] == answer.status
    assert body["request_id"] == answer.request_id
    outcome = _ERRORS[body["error"]]
    assert outcome.status == answer.status
    assert outcome is not Outcome.INTERNAL, body
    assert re.search(_NAMES.get(outcome.error, "."), body["message"]), body
    assert KEY not in json.dumps(body)


def acceptance(sent: Sent, answer: WireAnswer, records: list[Stored]) -> None:
    """Fail unless a 200 is true: stored once, byte for byte, counted by everybody alike, and readable for the drain."""
    assert len(records) == 1, f"{len(records)} records"
    (record,) = records
    _is_what_was_sent(sent, record)
    assert record.text("dialect") == sent.dialect.name
    stamped, rejected = int(record.text("event_count") or "-1"), _rejected(record)
    told, quarantined = sent.dialect.told(answer.json)
    assert stamped == (stamped if told is None else told)
    assert quarantined is None or rejected.keys() == quarantined
    assert stamped > 0
    if sent.inflated is not None:
        assert json_pieces.count_events(sent.inflated, sent.dialect.list_key) in {None, stamped}
    opened = _opened(record)
    assert len(opened.events) == stamped, f"the drain found {len(opened.events)} events"
    assert len(Chunk(0, "fuzz", [opened]).table()) == stamped
    if sent.dialect.judges:
        _edge_and_drain_judge_alike(opened)


def known(sent: Sent, answer: WireAnswer, records: list[Stored]) -> None:
    """Fail unless a request of which everything is known got exactly that: one bad event costs itself alone."""
    if sent.known is None or _is_too_large(sent):
        return
    assert answer.status == 200, answer
    assert int(records[0].text("event_count") or "-1") == sent.known.events
    found = _rejected(records[0]) if sent.dialect.judges else _opened(records[0]).problems
    # What is JSON and not an event at all, such as {}, the suite finds later where the edge does not judge.
    assert found.keys() == sent.known.bad or (found.keys() <= sent.known.bad and not sent.dialect.judges), found
    for reason in found.values():
        assert sent.known.field in reason, f"{sent.known.field} is not named: {reason}"


def _is_what_was_sent(sent: Sent, record: Stored) -> None:
    """Fail unless the bytes are the client's own, but for a byte order mark and a write key in the body."""
    assert KEY.encode() not in record.value
    if not sent.dialect.has_key_in_body and not (sent.inflated or b"").startswith(BOM_UTF8):
        assert record.value == sent.body
        return
    packed = record.text("content_encoding") == "gzip"
    stored = gzip.decompress(record.value) if packed else record.value
    assert KEY.encode() not in stored, "the write key is stored"
    if sent.inflated is not None:
        assert stored == sent.inflated.removeprefix(BOM_UTF8).replace(f'"{KEY}"'.encode(), b'"***"')


def _rejected(record: Stored) -> dict[int, str]:
    return {int(index): reason for index, reason in json.loads(record.text("rejected") or "{}").items()}


def _opened(record: Stored) -> Decoded:
    return open_envelope(topic.Record(record.offset, record.timestamp_ms, record.headers, record.value))


def never_refused_when_right(sent: Sent, answer: WireAnswer) -> None:
    """Fail when a request that is right by the standard library is answered 400: a client would delete its events."""
    if answer.status != 400 or sent.inflated is None or _is_too_large(sent):
        return
    count = json_pieces.count_events(sent.inflated, sent.dialect.list_key)
    if count and not _has_half_pair(sent.inflated):
        raise AssertionError(f"{count} events by the standard library, and {answer.body!r}")


def _edge_and_drain_judge_alike(opened: Decoded) -> None:
    """What the edge accepted, the drain can read, but for years that no database holds."""
    surprises = {index: text for index, text in opened.problems.items() if index not in opened.rejected}
    assert not [text for text in surprises.values() if "a year that no database holds" not in text], surprises


def _is_too_large(sent: Sent) -> bool:
    return len(sent.body) > limits.BODY_BYTES or len(sent.inflated or b"") > limits.INFLATED_BYTES


def _has_half_pair(text: bytes) -> bool:
    """Half of a surrogate pair outside of the events spoils the request; the standard library takes it."""
    return re.search(rb"\\u[dD][89a-fA-F]", text) is not None
