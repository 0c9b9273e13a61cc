"""Division into records: nothing is lost, everything fits, and what cannot fit is cut short and costs only itself."""

from __future__ import annotations

import gzip
import json
import secrets

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.parts import CUT_KEY
from ingest_api.division import Piece, fits, pieces
from ingest_api.outcomes import Outcome, RefusedError

LIMIT = 4_000
NOISE = secrets.token_hex(20_000)


def _events(piece: Piece) -> list[object]:
    found: list[object] = json.loads(gzip.decompress(piece.value))["events"]
    return found


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 300)), min_size=1, max_size=40),
    st.integers(0, 1_000),
)
def test_every_event_is_in_one_piece_that_fits(sizes: list[tuple[int, int]], beside: int) -> None:
    events = [json.dumps({"n": n, "x": NOISE[:size]}).encode() for n, (size, _) in enumerate(sizes)]
    rejected = {n: "r" * reason for n, (_, reason) in enumerate(sizes) if reason}
    about = {"beside": msgspec.Raw(json.dumps(NOISE[:beside]).encode())}
    found = list(pieces(about, "events", events, rejected, LIMIT))
    assert all(fits(len(piece.value), piece.rejected, LIMIT) for piece in found)
    assert [piece.start for piece in found] == [sum(one.events for one in found[:n]) for n in range(len(found))]
    stored = [event for piece in found for event in _events(piece)]
    told = {piece.start + index: why for piece in found for index, why in piece.rejected.items()}
    assert [event["n"] for event in stored if isinstance(event, dict)] == list(range(len(events)))
    cut = {n for n, event in enumerate(stored) if isinstance(event, dict) and CUT_KEY in event}
    assert told.keys() == rejected.keys() | cut
    assert all(told[n] == why for n, why in rejected.items())
    assert all(stored[n] == json.loads(event) for n, event in enumerate(events) if n not in cut)
    assert all(sizes[n][0] > LIMIT // 4 for n in cut)


def test_thousands_of_reasons_go_with_their_events() -> None:
    rejected = dict.fromkeys(range(5_000), "event_name: expected str, got int")
    found = list(pieces({}, "events", [b'{"event_name":5}'] * 5_000, rejected, 100_000))
    assert 1 < len(found) < 10
    assert sum(len(piece.rejected) for piece in found) == 5_000


def test_a_call_by_itself_is_cut_short() -> None:
    raw = json.dumps({"messageId": "m-1", "x": NOISE}).encode()
    (piece,) = pieces({}, "", [raw], {}, LIMIT)
    kept = json.loads(gzip.decompress(piece.value))
    assert (kept["messageId"], kept[CUT_KEY]["bytes"]) == ("m-1", len(raw))
    assert piece.rejected[0].startswith("larger than 4000 bytes")


def test_what_leaves_no_room_for_events_is_refused() -> None:
    about = {"beside": msgspec.Raw(b'"' + b"x" * LIMIT + b'"')}
    with pytest.raises(RefusedError) as caught:
        list(pieces(about, "events", [b"{}"], {}, LIMIT))
    assert caught.value.outcome is Outcome.RECORD_TOO_LARGE
