"""The generated traffic: same bytes for the same configuration, and every expectation true of its event."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from local.traffic import PlannedRequest, TrafficConfig, corpus, generate
from local.traffic.defects import KINDS
from local.traffic.model import SOURCES
from local.traffic.times import Minutes, busy

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
CONFIG = TrafficConfig(seed=7, start=START, users=200, events_per_second=50, max_events=30_000, compress=False)
NAME = re.compile(r"[A-Za-z$][A-Za-z0-9_ .:$-]{0,254}")
TEXTS = (
    "event_id event_name user_id device_id session_id platform app_version os_name os_version device_model locale"
    " country library_name library_version"
)


@pytest.fixture(scope="module")
def planned() -> list[PlannedRequest]:
    return list(generate(CONFIG))


def pairs(requests: list[PlannedRequest]) -> Iterator[tuple[dict[str, Any], dict[str, Any], Any]]:
    for request in requests:
        if not request.is_retry:
            body = json.loads(request.body)
            for event, expected in zip(body["events"], request.events, strict=True):
                yield body, event, expected


def moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def is_valid(sent_at: str, event: dict[str, Any]) -> bool:
    """The rules of the pipeline, written down a second time; received is sent, as after the skew's correction."""
    occurred_at = moment(event.get("occurred_at"))
    rules = [
        all(isinstance(event.get(name, ""), str) for name in TEXTS.split()),
        all(isinstance(event.get(name, {}), dict) for name in ("consent", "event_properties", "user_properties")),
        event.get("user_id") or event.get("device_id"),
        all(len(str(event.get(name, ""))) <= 255 for name in ("user_id", "device_id", "event_id")),
        NAME.fullmatch(str(event.get("event_name", ""))),
        occurred_at is not None and occurred_at.tzinfo is not None,
        occurred_at is None or occurred_at - datetime.fromisoformat(sent_at) < timedelta(hours=24),
        event.get("platform") in {"ios", "android", "web", "car", "server"},
        event.get("schema_version") in {None, 1, 2},
        len(json.dumps(event, separators=(",", ":"))) <= 32_768,
    ]
    return all(rules)


def test_every_expectation_is_true_of_its_event(planned: list[PlannedRequest]) -> None:
    for body, event, expected in pairs(planned):
        assert event.get("event_id") == expected.event_id
        assert is_valid(body["sent_at"], event) == (expected.expected == "valid"), (expected, event)
        assert (expected.defect is None) == (expected.expected == "valid")
        if expected.defect != "wrong_type_consent":
            assert (event.get("consent", {}).get("analytics") is True) == expected.consented


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_of_defect_makes_its_event_fail(planned: list[PlannedRequest], kind: str) -> None:
    body, event, _ = next(one for one in pairs(planned) if one[2].defect is None)
    for seed in range(5):
        spoiled = json.loads(json.dumps(event))
        KINDS[kind][1](spoiled, Random(seed))  # noqa: S311
        assert not is_valid(body["sent_at"], spoiled)


def test_the_same_configuration_gives_the_same_bytes(planned: list[PlannedRequest]) -> None:
    assert list(generate(CONFIG)) == planned
    packed = msgspec.structs.replace(CONFIG, compress=True, max_events=2_000)
    once, twice = list(generate(packed)), list(generate(packed))
    assert once == twice
    assert gzip.decompress(once[0].body) == planned[0].body


def test_another_start_or_seed_gives_other_ids_but_a_seed_keeps_its_persons(planned: list[PlannedRequest]) -> None:
    def ids(config: TrafficConfig, field: str) -> set[str]:
        return {
            event[field]
            for _, event, expected in pairs(list(generate(config)))
            if field in event and not expected.defect
        }

    later = msgspec.structs.replace(CONFIG, start=START + timedelta(days=1), max_events=5_000)
    other = msgspec.structs.replace(CONFIG, seed=8, max_events=5_000)
    first = msgspec.structs.replace(CONFIG, max_events=5_000)
    assert ids(first, "event_id").isdisjoint(ids(later, "event_id") | ids(other, "event_id"))
    assert ids(first, "user_id") & ids(later, "user_id")
    assert ids(first, "user_id").isdisjoint(ids(other, "user_id"))


def test_event_ids_are_never_used_twice(planned: list[PlannedRequest]) -> None:
    ids = [expected.event_id for _, _, expected in pairs(planned)]
    assert len(ids) == len(set(ids)) == CONFIG.max_events


def test_shares_and_sizes_are_believable(planned: list[PlannedRequest]) -> None:
    originals = [request for request in planned if not request.is_retry]
    events = [expected for _, _, expected in pairs(planned)]
    sizes = [len(request.events) for request in originals]
    assert 550 < sum(len(request.body) for request in originals) / len(events) < 680
    assert 0.005 < sum(event.defect is not None for event in events) / len(events) < 0.015
    assert 0.8 < sum(event.consented for event in events) / len(events) < 0.95
    assert 0.005 < (len(planned) - len(originals)) / len(originals) < 0.05
    assert (max(sizes) > 100, min(sizes) < 20, Counter(sizes).most_common(1)[0][0]) == (True, True, 50)
    assert {request.source_id for request in originals} == set(SOURCES)
    extra = sum(bool(event.keys() & {"network_type", "screen_width", "experiment"}) for _, event, _ in pairs(planned))
    assert 0.01 < extra / len(events) < 0.03


def test_retries_repeat_an_earlier_request_byte_for_byte(planned: list[PlannedRequest]) -> None:
    seen: dict[bytes, PlannedRequest] = {}
    for request in planned:
        if request.is_retry:
            first = seen[request.body]
            assert (first.events, first.source_id) == (request.events, request.source_id)
            assert timedelta(0) < request.due_at - first.due_at <= timedelta(seconds=31)
        seen[request.body] = request


def test_requests_are_ordered_and_the_rate_follows_the_day(planned: list[PlannedRequest]) -> None:
    due = [request.due_at for request in planned]
    assert due == sorted(due)
    assert due[0] == START
    night = msgspec.structs.replace(CONFIG, start=START.replace(hour=2))
    assert list(generate(night))[-1].due_at - night.start > (due[-1] - START) * 2
    assert sum(busy(hour * 3_600_000) for hour in range(24)) == pytest.approx(24, rel=0.02)


def test_people_are_anonymous_first_then_signed_in_on_several_devices(planned: list[PlannedRequest]) -> None:
    devices: dict[str, set[str]] = {}
    mid_session = 0
    for request in planned:
        users = [event.get("user_id") for event in json.loads(request.body)["events"]]
        mid_session += users[0] is None and users[-1] is not None
    for _, event, expected in pairs(planned):
        if expected.defect is None and "user_id" in event:
            devices.setdefault(event["user_id"], set()).add(event["device_id"])
    assert mid_session > 20
    assert max(len(found) for found in devices.values()) == 3


def test_some_phones_were_offline_and_some_clocks_are_wrong(planned: list[PlannedRequest]) -> None:
    skewed, late = 0, 0
    for request in planned:
        body = json.loads(request.body)
        sent_at, first = datetime.fromisoformat(body["sent_at"]), moment(body["events"][0].get("occurred_at"))
        skewed += abs(sent_at - request.due_at) > timedelta(minutes=1) and not request.is_retry
        late += first is not None and sent_at - first > timedelta(days=1)
    assert skewed > 5
    assert late > 5


def test_a_fixed_size_fills_every_request_but_the_last() -> None:
    config = msgspec.structs.replace(CONFIG, events_per_request=50, max_events=1_020, retry_ratio=0)
    assert [len(request.events) for request in generate(config)] == [50] * 20 + [20]


def test_events_without_an_id_are_made_when_asked_for() -> None:
    config = msgspec.structs.replace(CONFIG, without_id_ratio=0.1, max_events=2_000)
    found = [(event, expected) for _, event, expected in pairs(list(generate(config))) if expected.event_id is None]
    assert 100 < len(found) < 300
    assert all("event_id" not in event and expected.expected == "valid" for event, expected in found)


def test_a_start_without_zone_is_refused() -> None:
    naive = msgspec.structs.replace(CONFIG, start=START.replace(tzinfo=None))
    with pytest.raises(ValueError, match="time zone"):
        generate(naive)


def test_a_corpus_is_written_once_and_equals_the_generator(tmp_path: Path, planned: list[PlannedRequest]) -> None:
    assert list(corpus(tmp_path, CONFIG, 30)) == planned[:30]
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    assert list(corpus(tmp_path, CONFIG, 30)) == planned[:30]
    assert [one.stat().st_mtime_ns for one in tmp_path.iterdir()] == [written]
    assert len(list(corpus(tmp_path, CONFIG, 31))) == 31


@pytest.mark.parametrize(("offset", "text"), [(0, "2026-11-23T09:00:01.005Z"), (-300, "2026-11-23T04:00:01.005-05:00")])
def test_times_are_rfc_3339(offset: int, text: str) -> None:
    assert Minutes(offset).text(int(START.timestamp() * 1000) + 1_005) == text
