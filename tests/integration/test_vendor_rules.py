"""What reaches the vendor: only what it takes by its own rules, only with consent; all else is counted with why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from include import publishing, reconcile
from include.confirming import LANDING, confirm
from include.destinations.amplitude import Amplitude
from include.lake import sealed
from include.reconcile import Hop
from include.trace import trace
from local.amplitude.events import RESERVED_EVENT_TYPES, check
from tests.integration.pipeline import Pipeline, event, foreign, request

pytestmark = pytest.mark.usefixtures("gx")
AMPLITUDE = Amplitude("http://127.0.0.1:9", "key", "secret")
COLUMNS = ("user_id", "device_id", "event_type", "time", "event_properties", "user_properties", "insert_id")
OUTBOX = """
SELECT USER_PSEUDONYM, DEVICE_PSEUDONYM, EVENT_NAME, EVENT_TIME_MS, EVENT_PROPERTIES, USER_PROPERTIES, INSERT_ID, UNFIT
FROM PUBLISH.AMPLITUDE_OUTBOX
"""


def nested(levels: int) -> Any:
    return {"x": nested(levels - 1)} if levels else 1


ODD: dict[str, dict[str, Any]] = {
    "good": {},
    "the-first-second": {"occurred_at": "1970-01-01T00:00:00.000Z"},
    "before-1970": {"occurred_at": "1969-12-31T23:59:59.999Z"},
    "year-two": {"occurred_at": "0002-02-02T00:00:00Z"},
    "timeless": {"occurred_at": None},
    "only-a-user": {"device_id": None},
    "only-a-device": {"user_id": ""},
    "short-ids": {"user_id": "u", "device_id": "d"},
    "user-unknown": {"user_id": " Unknown"},
    "device-all-zero": {"device_id": "00000000-0000-0000-0000-000000000000"},
    "nobody": {"user_id": "anonymous", "device_id": "0"},
    "longest-text": {"event_properties": {"screen": "x" * 1024}},
    "text-too-long": {"event_properties": {"screen": "x" * 1025}},
    "long-with-quotes": {"event_properties": {"screen": '\\"' * 512}},
    "too-long-with-quotes": {"event_properties": {"screen": '\\"' * 513}},
    "too-long-in-a-list": {"event_properties": {"screen": ["y", {"z": "\u00e9" * 1025}]}},
    "long-in-all-only": {"event_properties": {"screen": ["y" * 600] * 5, "tab": list(range(900))}},
    "too-long-and-not-allowed": {"event_properties": {"private": "x" * 2000}},
    "too-long-of-the-user": {"user_properties": {"plan": "x" * 1025}},
    "deep": {"event_properties": {"screen": nested(39)}},
    "too-deep": {"event_properties": {"screen": nested(40)}},
    **{f"reserved-{number}": {"event_name": name} for number, name in enumerate(sorted(RESERVED_EVENT_TYPES))},
}


def fill(pipe: Pipeline, *events: dict[str, Any]) -> None:
    pipe.produce(*(request(one, sent_at=None) for one in events))  # so the device's clock is taken as it is
    pipe.stage()
    pipe.load()


def offer(pipe: Pipeline) -> int:
    with pipe.warehouse() as warehouse:
        return publishing.offer(warehouse, AMPLITUDE, pipe.settings)


def hop(pipe: Pipeline) -> Hop:
    with pipe.warehouse() as warehouse:
        return reconcile.vendor_hop(warehouse, "amplitude", list(sealed(pipe.lake, [1])))


def vendors_event(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a row of the outbox as the vendor gets it."""
    made = {name: value for name, value in zip(COLUMNS, row, strict=True) if value is not None}
    return {name: json.loads(value) if name.endswith("properties") else value for name, value in made.items()}


def test_what_the_vendor_would_skip_is_not_offered_and_what_it_takes_is(pipe: Pipeline) -> None:
    group = event("about-a-group", event_name="$groupidentify", user_id=None, device_id=None)
    pipe.produce(foreign("v1", "", {"events": [group]}))  # as a vendor's SDK sends it; our own dialect takes none such
    fill(pipe, *(event(name, **changes) for name, changes in ODD.items()))
    assert pipe.failed("EVENT_ID") == [], "all of these are good events for us"
    offered = offer(pipe)
    wrong = {}
    for *row, unfit in pipe.rows(OUTBOX):
        problems = check(vendors_event(tuple(row))).problems
        if bool(problems) != bool(unfit):
            wrong[row[-1]] = (unfit, problems)
    assert wrong == {}, "our rules and the vendor's agree"
    bad = ("before", "year", "too-", "reserved", "nobody")
    fit = {f"phone-app:{name}" for name in ODD if not any(part in name for part in bad)}
    fit.add("phone-app:too-long-and-not-allowed")
    shown = {str(row[0]) for row in pipe.rows('SELECT "insert_id" FROM PUBLISH.AMPLITUDE_EVENTS')}
    assert shown == fit
    assert offered == len(fit)
    assert offer(pipe) == 0
    known = {str(row[0]) for row in pipe.rows("SELECT IDENTIFIER FROM PUBLISH.PSEUDONYMS")}
    assert not {" Unknown", "anonymous", "0", "", "00000000-0000-0000-0000-000000000000"} & known
    assert {"u", "d"} < known, "a short id is a person all the same"


def test_what_is_unfit_is_explained_in_the_vendors_hop(pipe: Pipeline) -> None:
    fill(pipe, event("good"), event("old", occurred_at="1969-07-20T20:17:40Z"))
    assert offer(pipe) == 1
    assert (hop(pipe).expected, hop(pipe).actual, hop(pipe).explained) == (2, 0, 1)
    with pipe.warehouse() as warehouse:
        dates = {"1969-07-20", f"{datetime.now(UTC):%Y-%m-%d}"}
        confirm(pipe.lake, warehouse, "amplitude", dates, ["phone-app:good", "phone-app:good", "phone-app:old", "no"])
    found = hop(pipe)
    assert (found.expected, found.actual, found.explained, found.unexplained) == (2, 1, 1, 0)
    assert found.detail == {"refused": 1, "unfit": 1}
    ((offered, refusal),) = pipe.rows("SELECT OFFERED_AT, REFUSAL FROM PUBLISH.DELIVERIES WHERE EVENT_ID = 'old'")
    assert (offered, refusal) == (None, "unfit: time: before 1970")
    ((loaded, published),) = pipe.rows("SELECT EVENTS_LOADED, EVENTS_OFFERED FROM PUBLISH.PUBLICATIONS")
    assert (loaded, published) == (2, 1)
    assert list(pipe.container.list_blob_names(name_starts_with=LANDING)) == [], "the file of the ids is gone"
    with pipe.warehouse() as warehouse:
        (story,) = trace("old", None, pipe.lake, warehouse, pipe.kafka).stories
    assert story.steps[-1].name == "not offered"
    assert "time: before 1970" in story.steps[-1].text


def test_the_fit_one_of_two_dates_is_offered(pipe: Pipeline) -> None:
    fill(pipe, event("same", occurred_at="1969-01-01T00:00:00Z"), event("same", occurred_at="2026-11-01T00:00:00Z"))
    assert offer(pipe) == 1
    assert pipe.rows('SELECT "time" FROM PUBLISH.AMPLITUDE_EVENTS') == [(1793491200000,)]


CONSENTS: dict[str, Any] = {
    "true": {"analytics": True}, "false": {"analytics": False}, "text-true": {"analytics": "true"},
    "text-false": {"analytics": "false"}, "text-1": {"analytics": "1"}, "one": {"analytics": 1},
    "null": {"analytics": None}, "object": {"analytics": {"given": True}}, "list": {"analytics": [True]},
    "other": {"marketing": True}, "empty": {}, "missing": None, "upper": {"Analytics": True},
}  # fmt: skip


def test_only_the_json_value_true_is_consent(pipe: Pipeline) -> None:
    fill(pipe, *(event(name, user_id=f"user-{name}", consent=given) for name, given in CONSENTS.items()))
    assert offer(pipe) == 1
    assert pipe.rows('SELECT "insert_id" FROM PUBLISH.AMPLITUDE_EVENTS') == [("phone-app:true",)]
    known = {str(row[0]) for row in pipe.rows("SELECT IDENTIFIER FROM PUBLISH.PSEUDONYMS WHERE KIND = 'user'")}
    assert known == {"user-true"}, "nobody else even gets a pseudonym"
    with pipe.warehouse() as warehouse:
        (story,) = trace("text-true", None, pipe.lake, warehouse, pipe.kafka).stories
    assert story.steps[-1].text == 'no consent to analytics ("true"; only the JSON value true is consent)'
