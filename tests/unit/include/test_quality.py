"""The suites through Great Expectations: each expectation trips on its row, none lets rows pass unjudged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from include import distinct, quality
from include.distinct import Tally, merge
from include.errors import SetupError
from include.quality import SUITES, Suite, judge_interval, suite
from tests.unit.include.fakes import body_of, chunk_of, good_event

pytestmark = pytest.mark.usefixtures("gx")
SOURCES = {"known_sources": ["phone-app", "web-app"]}
EVENTS = json.loads((SUITES / "events.json").read_text())["expectations"]
INTERVAL = json.loads((SUITES / "interval.json").read_text())["expectations"]


def key(config: dict[str, Any]) -> tuple[str, str, str]:
    bound = "below" if "min_value" in config["kwargs"] and "max_value" not in config["kwargs"] else ""
    return config["type"].removeprefix("expect_column_values_to_"), config["kwargs"]["column"], bound


# Expectation -> (how to call the chunk, a change that trips it); `None` changes are in the second table below.
TRIPS: dict[tuple[str, str, str], dict[str, Any]] = {
    ("be_in_set", "decode", ""): {"event": {"app_version": 4}},
    ("be_in_set", "edge", ""): {"rejected": {1: "the edge found it bad"}},
    ("be_in_set", "source_id", ""): {"source_id": "nobody"},
    ("be_between", "event_id_length", ""): {"event": {"event_id": "i" * 256}},
    ("be_in_set", "identity", ""): {"event": {"user_id": None, "device_id": ""}},
    ("be_between", "user_id_length", ""): {"event": {"user_id": "ü" * 256}},
    ("be_between", "device_id_length", ""): {"event": {"device_id": "d" * 256}},
    ("be_between", "session_id_length", ""): {"event": {"session_id": "s" * 256}},
    ("be_between", "text_length", ""): {"event": {"os_name": "o" * 1025}},
    ("not_be_null", "event_name", ""): {"event": {"event_name": None}},
    ("match_regex", "event_name", ""): {"event": {"event_name": "tap\n"}},
    ("not_be_null", "platform", ""): {"event": {"platform": None}},
    ("be_in_set", "platform", ""): {"event": {"platform": "IOS"}},
    ("be_in_set", "schema_version", ""): {"event": {"schema_version": 3}},
    ("be_between", "occurred_ahead_minutes", ""): {"event": {"occurred_at": "2026-11-24T10:01:01Z"}},
    ("be_between", "json_kibibytes", ""): {"event": {"event_properties": {"x": "y" * 32_768}}},
    ("be_in_set", "consent_kind", ""): {"event": {"consent": ["analytics"]}},
    ("be_in_set", "event_properties_kind", ""): {"event": {"event_properties": "home"}},
    ("be_in_set", "user_properties_kind", ""): {"event": {"user_properties": 5}},
    ("be_in_set", "occurred_at", ""): {"event": {"occurred_at": None}},
    ("be_between", "occurred_ahead_minutes", "below"): {"event": {"occurred_at": "2026-10-20T10:00:00Z"}},
}
PASSES: list[dict[str, Any]] = [
    {"event_id": "i" * 255, "user_id": "ü" * 255, "device_id": "d" * 255, "session_id": "s" * 255},
    {"event_id": None, "user_id": None, "schema_version": None, "session_id": None, "consent": None},
    {"event_name": "$Screen Viewed.x:y-z_1", "platform": "server", "schema_version": 2, "user_properties": {}},
    {"occurred_at": "2026-11-24T09:59:59Z", "event_name": "n" * 255, "country": "c" * 1024},
    {"occurred_at": "2026-10-24T10:00:00Z", "event_properties": {"x": "y" * 31_000}},
]


def judge(event: dict[str, Any] | None = None, **chunk: Any) -> quality.Verdict:
    """Judge a good event and, after it, the same event changed."""
    made = chunk_of(body_of(good_event(event_id="good"), good_event(**event or {})), **chunk)
    return suite("events").judge(made.facts(made.table()), SOURCES)


@pytest.mark.parametrize("config", EVENTS, ids=lambda config: "-".join(filter(None, key(config))))
def test_each_expectation_trips_on_its_row(config: dict[str, Any]) -> None:
    verdict = judge(**TRIPS[key(config)])
    tally = next(found for found in verdict.tallies if found.config == config)
    assert tally.unexpected > 0
    tripped = [(reason.expectation, reason.column) for reason in verdict.failed.get(1, [])]
    assert ((config["type"], config["kwargs"]["column"]) in tripped) == (config["severity"] == "critical")
    if "source_id" not in TRIPS[key(config)]:
        assert 0 not in verdict.failed, "the neighbour passes"


@pytest.mark.parametrize("event", PASSES, ids=range(len(PASSES)))
def test_what_is_just_right_passes_everything(event: dict[str, Any]) -> None:
    verdict = judge(event)
    assert verdict.failed == {}
    assert [tally.config for tally in verdict.tallies if tally.unexpected] == []


def test_reasons_come_in_suite_order_with_the_value_found() -> None:
    reasons = judge({"event_name": "1st", "platform": "symbian"}).failed[1]
    assert [(reason.column, reason.value) for reason in reasons] == [("event_name", "1st"), ("platform", "symbian")]


def test_a_missing_value_is_a_reason_without_a_value() -> None:
    assert judge({"platform": None}).failed[1][0].value is None


TOTALS = {
    "rows": 10.0, "failed_percent": 0.0, "duplicate_percent": 0.0, "user_id_null_percent": 0.0,
    "app_version_null_percent": 0.0, "consent_null_percent": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("config", INTERVAL, ids=lambda config: config["kwargs"]["column"])
def test_each_interval_warning_trips_and_does_not(config: dict[str, Any]) -> None:
    column, kwargs = config["kwargs"]["column"], config["kwargs"]
    bad = kwargs["max_value"] + 0.1 if "max_value" in kwargs else kwargs["min_value"] - 1
    tripped = [
        tally.config["kwargs"]["column"] for tally in judge_interval({**TOTALS, column: bad}) if tally.unexpected
    ]
    assert tripped == [column]
    assert not any(tally.unexpected for tally in judge_interval(TOTALS))


def test_every_interval_expectation_is_a_warning() -> None:
    assert {config["severity"] for config in INTERVAL} == {"warning"}


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, *expectations: dict[str, Any]) -> None:
    (folder / "odd.json").write_text(json.dumps({"name": "odd", "expectations": expectations}))
    monkeypatch.setattr(quality, "SUITES", folder)


def expectation(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_column_values_to_{kind}", "severity": "critical", "kwargs": kwargs}


def test_an_expectation_that_gx_drops_is_a_setup_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(
        tmp_path, monkeypatch,
        expectation("be_between", column="n", max_value=5), expectation("be_betwen", column="n", max_value=5),
    )  # fmt: skip
    with pytest.raises(SetupError, match="GX took 1 of 2 expectations"):
        Suite("odd")


def test_an_expectation_that_raises_never_lets_rows_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, monkeypatch, expectation("match_regex", column="n", regex="("))
    facts = {"n": pa.array(["a", "b"]).dictionary_encode()}
    with pytest.raises(SetupError, match="could not be evaluated"):
        Suite("odd").judge(facts, {})


def test_a_suite_that_names_a_column_that_is_not_there_never_lets_rows_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, monkeypatch, expectation("be_in_set", column="gone", value_set=["a"]))
    with pytest.raises((SetupError, KeyError), match="gone"):
        Suite("odd").judge({"n": pa.array(["a"]).dictionary_encode()}, {})


def test_no_rows_have_a_verdict_without_rows() -> None:
    made = chunk_of(body_of())
    verdict = suite("events").judge(made.facts(made.table()), SOURCES)
    assert verdict.failed == {}
    assert [tally.rows for tally in verdict.tallies] == [0] * len(EVENTS)


def test_tallies_count_rows_not_distinct_values() -> None:
    many = [good_event(event_id=str(number), platform="symbian" if number % 3 == 0 else "ios") for number in range(30)]
    made = chunk_of(body_of(*many))
    verdict = suite("events").judge(made.facts(made.table()), SOURCES)
    (tally,) = [found for found in verdict.tallies if found.unexpected]
    assert (tally.rows, tally.unexpected, tally.examples) == (30, 10, {"symbian": 10})
    assert sorted(verdict.failed) == list(range(0, 30, 3))


def test_tallies_of_chunks_add_up_and_keep_few_examples() -> None:
    config = {"type": "t", "kwargs": {}}
    one = [Tally(config, rows=2, unexpected=1, missing=1, examples={"a": 1})]
    other = [Tally(config, rows=3, unexpected=3, examples={"a": 1, **{str(number): 1 for number in range(50)}})]
    total = merge(merge([], one), other)[0]
    assert (total.rows, total.unexpected, total.missing, total.examples["a"]) == (5, 4, 1, 2)
    assert len(total.examples) == distinct.EXAMPLES
    assert one[0].rows == 2, "the chunk's own tally is left alone"
    assert merge([total], []) == [total], "a chunk of poison has no tallies"
    assert msgspec.json.decode(msgspec.json.encode(total), type=Tally) == total


def test_a_value_that_is_empty_is_not_shown_as_missing() -> None:
    verdict = judge({"platform": ""})
    (tally,) = [found for found in verdict.tallies if found.unexpected]
    assert tally.examples == {"": 1}


def chunk_with(*names: str) -> dict[str, pa.DictionaryArray]:
    return {"n": pa.array(names).dictionary_encode()}


def test_a_value_that_was_judged_before_has_the_same_verdict_in_every_later_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, monkeypatch, expectation("be_in_set", column="n", value_set={"$PARAMETER": "known"}))
    odd = Suite("odd")
    asked: list[list[str]] = []
    unexpected = odd._unexpected

    def ask(new: Any, *others: Any) -> Any:
        asked.append(new["n"])
        return unexpected(new, *others)

    monkeypatch.setattr(odd, "_unexpected", ask)

    def failed(facts: dict[str, pa.DictionaryArray], *known: str) -> list[int]:
        return sorted(odd.judge(facts, {"known": list(known)}).failed)

    assert failed(chunk_with("a", "b", "a"), "a") == [1]
    assert failed(chunk_with("b", "b", "a"), "a") == [0, 1]
    assert asked == [["a", "b"]], "nothing in the second chunk was new"
    assert failed(chunk_with("c", "b", "a"), "a") == [0, 1]
    assert failed(chunk_with("c", "b", "a"), "a", "b") == [0], "other parameters, other answers"
    assert asked[1:] == [["c"], ["c", "b", "a"]]


def test_what_a_process_remembers_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, monkeypatch, expectation("be_in_set", column="n", value_set=["a"]))
    monkeypatch.setattr(quality, "REMEMBERED_VALUES", 3)
    odd = Suite("odd")
    for number in range(10):
        assert sorted(odd.judge(chunk_with(f"x{number}", "a", f"y{number}"), {}).failed) == [0, 2]
        assert odd._answers.count <= 6
