"""A trace on real parts: an event at every stage it may be in, and everything that can be odd about an id."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from include import publishing
from include.confirming import confirm
from include.contract.event import derived_event_id
from include.contract.splitting import split
from include.destinations.amplitude import Amplitude
from include.trace import trace
from include.tracing.model import Limits, Story, Trace
from include.tracing.show import show
from tests.integration.pipeline import Pipeline, Request, event, request
from tests.integration.test_accept_gap import recreate
from tests.integration.test_staging_gaps import expire

pytestmark = pytest.mark.usefixtures("gx")
AMPLITUDE = Amplitude("http://127.0.0.1:9", "key", "secret")


def traced(pipe: Pipeline, event_id: str, source_id: str | None = None, records: int = 1_000) -> Trace:
    with pipe.warehouse() as warehouse:
        return trace(event_id, source_id, pipe.lake, warehouse, pipe.kafka, Limits(records=records))


def story(found: Trace) -> Story:
    assert len(found.stories) == 1, found
    return found.stories[0]


def texts(told: Story) -> dict[str, str]:
    return {step.name: step.text for step in told.steps}


def offer(pipe: Pipeline) -> None:
    with pipe.warehouse() as warehouse:
        publishing.offer(warehouse, AMPLITUDE, pipe.settings)


def printed(found: Trace) -> str:
    console = Console(file=io.StringIO(), width=200)
    show(console, found)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_one_event_is_followed_through_every_stage(pipe: Pipeline) -> None:
    pipe.produce(request(event("other"), event("wanted"), partition=2))
    first = story(traced(pipe, "wanted"))
    assert (first.place, first.source_id, first.where.partition, first.where.index) == ("topic", "phone-app", 2, 1)
    assert [step.name for step in first.steps] == ["received", "in Kafka", "not staged"]
    assert "request " in texts(first)["received"]
    assert "dialect v1" in texts(first)["received"]

    work = pipe.plan()
    planned = story(traced(pipe, "wanted"))
    assert [step.name for step in planned.steps] == ["received", "in Kafka", "planned", "not sealed", "not staged"]
    assert planned.where.sequence == 1

    pipe.drain(work)
    pipe.seal(work)
    sealed = story(traced(pipe, "wanted"))
    assert sealed.place == "lake"
    assert [step.name for step in sealed.steps] == ["received", "in Kafka", "planned", "staged", "sealed", "not loaded"]
    assert texts(sealed)["staged"].endswith(f"{pipe.topic}-2-0-1.parquet, row 1 of 2 (from 0)")

    pipe.load()
    loaded = story(traced(pipe, "wanted"))
    hops = ["occurred", "sent", "received", "in Kafka", "planned", "staged", "sealed", "loaded", "outbox"]
    assert [step.name for step in loaded.steps] == [*hops, "not offered"]
    assert texts(loaded)["not offered"].startswith("publish_amplitude has not offered load ")

    offer(pipe)
    offered = story(traced(pipe, "wanted"))
    assert [step.name for step in offered.steps] == [*hops, "offered", "not confirmed"]

    with pipe.warehouse() as warehouse:
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        confirm(pipe.lake, warehouse, "amplitude", [today], ["phone-app:wanted"])
    found = traced(pipe, "wanted")
    whole = story(found)
    assert [step.name for step in whole.steps] == [*hops, "offered", "confirmed"]
    assert all(step.at is not None and step.at.tzinfo is UTC for step in whole.steps)
    assert sum(step.after_s or 0 for step in whole.steps) < 300
    assert whole.steps[0].after_s is None
    shown = printed(found)
    for word in ("phone-app:wanted (screen_viewed) in EVENTS", "partition 2, offset 0, index 1", "row 1 of 2"):
        assert word in shown


def test_why_the_vendor_did_not_get_it_is_told(pipe: Pipeline) -> None:
    pipe.produce(request(
        event("silent", consent=None), event("refused", consent={"analytics": False}),
        event("suppressed", user_id="gone"),
    ))  # fmt: skip
    pipe.stage()
    pipe.load()
    pipe.rows(
        "INSERT INTO PUBLISH.SUPPRESSIONS (KIND, IDENTIFIER, REASON, SUPPRESSED_AT) "
        "VALUES ('user', 'gone', 'withdrawn', '2026-11-01 10:00:00')"
    )
    try:
        offer(pipe)
        why = {one: texts(story(traced(pipe, one)))["not offered"] for one in ("silent", "refused", "suppressed")}
    finally:
        pipe.rows("DELETE FROM PUBLISH.SUPPRESSIONS")
    assert why == {
        "silent": "no consent to analytics (missing)",
        "refused": "no consent to analytics (false)",
        "suppressed": "its user is suppressed since 2026-11-01 10:00:00: withdrawn",
    }


def test_what_the_vendor_took_or_refused_is_told(pipe: Pipeline) -> None:
    pipe.produce(request(event("taken"), event("refused")))
    pipe.stage()
    pipe.load()
    offer(pipe)
    for column, one in (("TAKEN_AT", "taken"), ("REFUSED_AT", "refused")):
        pipe.rows(f"UPDATE PUBLISH.DELIVERIES SET {column} = SYSDATE() WHERE EVENT_ID = '{one}'")  # noqa: S608
    pipe.rows("UPDATE PUBLISH.DELIVERIES SET REFUSAL = 'silenced' WHERE EVENT_ID = 'refused'")
    assert "not confirmed" in texts(story(traced(pipe, "taken")))
    assert texts(story(traced(pipe, "taken")))["taken"] == "amplitude answered that it took it"
    assert texts(story(traced(pipe, "refused")))["refused"] == "amplitude will never take it: silenced"


def test_every_row_of_an_id_is_shown(pipe: Pipeline) -> None:
    day = datetime.now(UTC) - timedelta(days=40)
    pipe.produce(
        request(event("same")), request(event("same"), source_id="web-app"),
        request(event("same", occurred_at=day.isoformat())), request(event("same", platform="symbian")),
    )  # fmt: skip
    pipe.stage()
    pipe.load()
    offer(pipe)
    found = traced(pipe, "same")
    assert sorted((one.place, one.source_id) for one in found.stories) == [
        ("EVENTS", "phone-app"), ("EVENTS", "phone-app"), ("EVENTS", "web-app"), ("FAILED_EVENTS", "phone-app"),
    ]  # fmt: skip
    failed = next(one for one in found.stories if one.place == "FAILED_EVENTS")
    assert "platform, value 'symbian'" in texts(failed)["failed because"]
    assert "/failed/" in "/" + texts(failed)["staged"]
    why = [texts(one)["not offered"] for one in found.stories if "not offered" in texts(one)]
    assert len(why) == 1, "the vendor knows no dates: it gets the id once"
    assert why[0].startswith("the same id was offered under date ")
    assert [one.source_id for one in traced(pipe, "same", "web-app").stories] == ["web-app"]


def test_an_event_without_an_id_is_found_by_the_one_it_was_given(pipe: Pipeline) -> None:
    pipe.produce(request(event(None)))
    pipe.stage()
    pipe.load()
    (given,) = pipe.event_ids()
    assert story(traced(pipe, given)).place == "EVENTS"
    again = request(event(None, event_name="another"))
    pipe.produce(again, again)
    stored = edge_id(again)
    assert [one.place for one in traced(pipe, stored).stories] == ["topic", "topic"]


def edge_id(made: Request) -> str:
    """Return the id that the only event of a request is given."""
    (raw,) = split(gzip.decompress(made.value))
    return derived_event_id("phone-app", raw)


def test_a_row_that_somebody_deleted_is_told_apart_from_one_that_is_not_loaded(pipe: Pipeline) -> None:
    pipe.produce(request(event("deleted"), event("bad", platform="symbian")))
    pipe.stage()
    pipe.load()
    pipe.rows("DELETE FROM CORE.EVENTS")
    pipe.rows("DELETE FROM CORE.FAILED_EVENTS")
    for one, page in (("deleted", "lake-to-events"), ("bad", "lake-to-failed-events")):
        told = texts(story(traced(pipe, one)))
        assert told["not in the warehouse"].endswith(f"see docs/runbooks/{page}.md")


def test_a_plan_of_a_topic_that_was_recreated_is_not_looked_for_in_the_new_one(pipe: Pipeline) -> None:
    pipe.produce(request(event("old")))
    pipe.plan()
    recreate(pipe)
    pipe.produce(request(event("new")))
    assert traced(pipe, "old").stories == ()
    assert story(traced(pipe, "new")).where.sequence is None


def test_a_record_that_cannot_be_opened_is_found_by_its_hash(pipe: Pipeline) -> None:
    poison = request(event("x"))
    poison.value = b"no JSON"
    pipe.produce(poison)
    pipe.stage()
    pipe.load()
    ((failed_id,),) = pipe.failed("EVENT_ID")
    told = texts(story(traced(pipe, failed_id)))
    assert "the whole record" in told["in Kafka"]
    assert told["failed because"].startswith("envelope_can_be_opened")


def test_what_kafka_no_longer_has_is_told_and_the_rest_is_there(pipe: Pipeline) -> None:
    pipe.produce(request(event("old")))
    pipe.stage()
    pipe.load()
    expire(pipe, 1)
    told = story(traced(pipe, "old"))
    assert texts(told)["received"] == "Kafka no longer has the record, so request id and dialect are not known"
    assert told.steps[2].at is not None
    pipe.container.delete_blob(next(name for name in pipe.blobs("events/")))
    assert "IS GONE; see docs/runbooks/lake-file-lost.md" in texts(story(traced(pipe, "old")))["staged"]


def test_an_id_that_is_nowhere_says_what_was_searched(pipe: Pipeline) -> None:
    pipe.produce(*(request(event(f"e-{number}")) for number in range(5)))
    pipe.stage()
    pipe.produce(*(request(event(f"f-{number}")) for number in range(5)))
    found = traced(pipe, "nowhere", records=3)
    rest = "The rest expired, or needs more --records."
    assert found.stories == ()
    assert found.searched == (
        "EVENTS and FAILED_EVENTS do not have it.",
        "The sealed files of 1 plans were searched (at most 20 of the newest and of those not loaded, or --plans).",
        f"3 of 5 records of topic {pipe.topic} that no sealed plan has were searched. {rest}",
    )
    assert "No event nowhere was found." in printed(found)


@pytest.mark.parametrize("away", ["warehouse", "kafka"])
def test_a_part_that_is_away_does_not_stop_the_others(pipe: Pipeline, away: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("include.topic.CALL_TIMEOUT_S", 0.3)
    monkeypatch.setattr("include.topic.RETRY_TIMEOUT_S", 0.3)
    pipe.produce(request(event("wanted")))
    pipe.stage()
    if away == "warehouse":
        found = trace("wanted", None, pipe.lake, None, pipe.kafka)
        assert story(found).place == "lake"
        return
    pipe.load()
    with pipe.warehouse() as warehouse:
        found = trace("wanted", None, pipe.lake, warehouse, {"bootstrap.servers": "127.0.0.1:9", "log_level": 0})
    told = texts(story(found))
    assert "Kafka could not be asked" in told["received"]
    assert {"staged", "loaded", "outbox"} <= told.keys()
    assert any("reading" in sentence and "offsets" in sentence for sentence in found.searched)


def test_a_known_date_bounds_the_search_in_events(pipe: Pipeline) -> None:
    days = ("2026-11-20", "2026-11-21")
    pipe.produce(request(*(event("same", occurred_at=f"{day}T10:00:00Z") for day in days)))
    pipe.stage()
    pipe.load()
    assert len(traced(pipe, "same").stories) == 2
    with pipe.warehouse() as warehouse:
        limits = Limits(occurred_on=date(2026, 11, 21))
        found = trace("same", None, pipe.lake, warehouse, pipe.kafka, limits)
    assert "EVENTS, date 2026-11-21" in texts(story(found))["loaded"]
    assert found.searched[0] == "Of EVENTS only date 2026-11-21 was searched (--occurred), FAILED_EVENTS as a whole."
