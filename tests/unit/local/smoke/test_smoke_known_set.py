"""The known set: the same people for the same seed, something of everything in it, and an exact record of answers."""

from __future__ import annotations

from local.smoke.known_set import Ledger, known_requests
from local.traffic.sender import Outcome


def test_set_has_malformed_unconsented_and_repeated_events() -> None:
    first, again = known_requests(1, 3_000)
    events = [event for request in first for event in request.events]
    assert len(events) == 3_000
    assert len({(event.source_id, event.event_id) for event in events}) == 3_000
    assert {event.expected for event in events} == {"valid", "failed"}
    assert {event.consented for event in events} == {True, False}
    bodies = {request.body for request in first}
    assert again
    assert all(request.body in bodies for request in again)


def test_ledger_counts_answers_and_attempts_per_event() -> None:
    first, again = known_requests(1, 3_000)  # one request has 500 at most
    repeated = again[0]
    ledger = Ledger()
    ledger.add(Outcome(repeated, 200, 1, 0.1, "a"))
    ledger.add(Outcome(repeated, 200, 3, 0.1, "b"))
    key = (repeated.source_id, repeated.events[0].event_id or "")
    assert (ledger.posted()[key].acknowledged, ledger.posted()[key].sent) == (2, 4)
    other = next(request for request in first if request.body != repeated.body)
    ledger.add(Outcome(other, 503, 5, 60.0, None))
    assert ledger.refused == {503: 1}
    key = (other.source_id, other.events[0].event_id or "")
    assert (ledger.posted()[key].acknowledged, ledger.posted()[key].sent) == (0, 5)
