"""Publishing: pseudonyms, the order of an offer's effects, the contract, and pushes that can be killed anywhere."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from include import destinations
from include.destinations import Contract, Pushed, contract
from include.errors import TransientError
from include.publishing import offer, pseudonym, push
from include.settings import PipelineSettings
from include.statements import ddl, statement
from include.warehouse import Warehouse
from tests.unit.include.fakes import RecordingConnection

KEY = "6b" * 32
SETTINGS = PipelineSettings(sources_file="s", pseudonym_key=KEY, pseudonym_key_version=3, amplitude_push_events=2)
AT = datetime(2026, 11, 23, 10, 5)  # noqa: DTZ001 - as Snowflake answers


class Vendor:
    """A vendor that answers what the test says."""

    vendor = "amplitude"
    contract = Contract("analytics", ["anonymous"], ["screen"], ["plan"])

    def __init__(self, *answers: Pushed | Exception) -> None:
        self.answers = list(answers)
        self.posted: list[list[str]] = []

    def push(self, events: Sequence[Mapping[str, Any]]) -> Pushed:
        self.posted.append([event["insert_id"] for event in events])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def exported(self, start: datetime, end: datetime) -> Iterator[str]:
        raise AssertionError("not asked here")


def offering(pending: list[list[str]], **answers: Any) -> RecordingConnection:
    rounds = iter([[(load, AT) for load in loads] for loads in pending])
    return RecordingConnection({
        "SELECT l.LOAD_ID": lambda _: next(rounds),
        "UPDATE CONTROL.WRITER_LOCKS": [(1,)],
        "SELECT SYSDATE()": [(AT,)],
        "SELECT GREATEST": [(AT,)],
        "SELECT DISTINCT OCCURRED_ON": [("2026-11-23",)],
        "SELECT k.KIND": [("user", "user-1"), ("device", "device-1")],
        "SELECT SUM(EVENTS_OFFERED)": [(5,)],
        **answers,
    })  # fmt: skip


def test_an_offer_moves_rows_memory_and_watermark_in_one_transaction() -> None:
    fake = offering([["load-1", "load-2"], ["load-1", "load-2"], []])
    assert offer(Warehouse(fake), Vendor(), SETTINGS) == 5  # type: ignore[arg-type]
    begin, commit = fake.effects.index("BEGIN"), fake.effects.index("COMMIT")
    within = fake.effects[begin + 1 : commit]
    changes = [effect for effect in within if effect.startswith(("INSERT", "UPDATE"))]
    assert changes == [
        "UPDATE CONTROL.WRITER_LOCKS SET", "INSERT INTO PUBLISH.PSEUDONYMS", "INSERT INTO PUBLISH.AMPLITUDE_OUTBOX",
        "INSERT INTO PUBLISH.DELIVERIES", "INSERT INTO PUBLISH.PUBLICATIONS", "UPDATE PUBLISH.WATERMARKS SET",
    ]  # fmt: skip
    assert not any(
        effect.startswith(("INSERT", "UPDATE")) for effect in fake.effects[:begin] + fake.effects[commit + 1 :]
    )
    assert fake.values_of("INSERT INTO PUBLISH.AMPLITUDE_OUTBOX")["event_properties"] == ["screen"]


def test_nothing_pending_opens_no_transaction() -> None:
    fake = offering([[]])
    assert offer(Warehouse(fake), Vendor(), SETTINGS) == 0  # type: ignore[arg-type]
    assert fake.effects == ["SELECT l.LOAD_ID, MIN(l.LOADED_AT)"]


def test_loads_that_another_publisher_offered_meanwhile_are_left_alone() -> None:
    fake = offering([["load-1"], [], []])
    assert offer(Warehouse(fake), Vendor(), SETTINGS) == 0  # type: ignore[arg-type]
    assert not any(effect.startswith("INSERT") for effect in fake.effects)


def test_a_load_without_events_is_published_all_the_same() -> None:
    fake = offering(
        [["load-1"], ["load-1"], []], **{"SELECT DISTINCT OCCURRED_ON": [], "SELECT SUM(EVENTS_OFFERED)": [(None,)]}
    )
    assert offer(Warehouse(fake), Vendor(), SETTINGS) == 0  # type: ignore[arg-type]
    assert "INSERT INTO PUBLISH.PUBLICATIONS" in fake.effects
    assert "INSERT INTO PUBLISH.AMPLITUDE_OUTBOX" not in fake.effects


def test_a_failed_offer_rolls_back() -> None:
    fake = offering([["load-1"], ["load-1"]], **{"UPDATE PUBLISH.WATERMARKS": TransientError("away")})
    with pytest.raises(TransientError):
        offer(Warehouse(fake), Vendor(), SETTINGS)  # type: ignore[arg-type]
    assert fake.effects[-1] == "ROLLBACK"


def test_pseudonyms_are_keyed_hmacs_that_differ_by_vendor_and_kind() -> None:
    found = pseudonym(SETTINGS, "amplitude", "user", "user-1")
    assert found == hmac.new(bytes.fromhex(KEY), b"amplitude\0user\0user-1", hashlib.sha256).hexdigest()
    others = {
        pseudonym(SETTINGS, "mixpanel", "user", "user-1"), pseudonym(SETTINGS, "amplitude", "device", "user-1"),
        pseudonym(PipelineSettings(sources_file="s", pseudonym_key="00" * 32), "amplitude", "user", "user-1"),
    }  # fmt: skip
    assert len({found, *others}) == 4


def test_new_identifiers_get_their_pseudonyms_with_the_keys_version() -> None:
    fake = offering([["load-1"], ["load-1"], []])
    offer(Warehouse(fake), Vendor(), SETTINGS)  # type: ignore[arg-type]
    rows = fake.values_of("INSERT INTO PUBLISH.PSEUDONYMS")
    assert [(row["kind"], row["identifier"], row["key_version"]) for row in rows] == [
        ("user", "user-1", 3), ("device", "device-1", 3),
    ]  # fmt: skip
    assert rows[0]["pseudonym"] == pseudonym(SETTINGS, "amplitude", "user", "user-1")


def outbox(*batches: Sequence[str]) -> RecordingConnection:
    rounds = iter(batches)

    def rows(_: Any) -> list[tuple[Any, ...]]:
        return [("u" * 64, None, "tap", 5, '{"screen":"home"}', None, id_, *[None] * 7) for id_ in next(rounds, ())]

    return RecordingConnection({'SELECT v."user_id"': rows})


def test_a_push_remembers_what_was_taken_and_what_never_will_be() -> None:
    fake = outbox(["a", "b"], ["c"])
    vendor = Vendor(Pushed(("a",), (("b", "invalid time"),)), Pushed(("c",)))
    assert push(Warehouse(fake), vendor, SETTINGS) == {"taken": 2, "refused": 1}  # type: ignore[arg-type]
    assert vendor.posted == [["a", "b"], ["c"]]
    marks = [
        (text.split("SET ")[1].split()[0], values["insert_ids"]) for text, values in fake.statements if "UPDATE" in text
    ]
    assert marks == [("TAKEN_AT", ["a"]), ("REFUSED_AT", ["b"]), ("TAKEN_AT", ["c"])]


def test_a_vendor_that_is_away_leaves_everything_to_the_next_run() -> None:
    fake = outbox(["a", "b"])
    with pytest.raises(TransientError):
        push(Warehouse(fake), Vendor(TransientError("away")), SETTINGS)  # type: ignore[arg-type]
    assert not any(effect.startswith("UPDATE") for effect in fake.effects)


def test_an_event_is_posted_without_its_empty_fields_and_with_its_json() -> None:
    posted: list[Mapping[str, Any]] = []

    class Keeper(Vendor):
        def push(self, events: Sequence[Mapping[str, Any]]) -> Pushed:
            posted.extend(events)
            return Pushed(tuple(event["insert_id"] for event in events))

    push(Warehouse(outbox(["a"])), Keeper(), SETTINGS)  # type: ignore[arg-type]
    assert posted == [
        {"user_id": "u" * 64, "event_type": "tap", "time": 5, "event_properties": {"screen": "home"}, "insert_id": "a"}
    ]


def test_the_contract_is_an_allow_list_and_an_unknown_key_in_it_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert contract("amplitude").purpose == "analytics"
    assert "screen" in contract("amplitude").event_properties
    (tmp_path / "odd.json").write_text('{"purpose":"p","event_properties":[],"user_properties":[],"all":true}')
    monkeypatch.setattr(destinations, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ValueError, match="unknown field `all`"):
        contract("odd")


def test_the_view_shows_pseudonyms_and_allowed_columns_only() -> None:
    view = dict(ddl())["060_publish.sql"].partition("VIEW ")[2]
    shown = {
        line.split(" AS ")[0].strip().removeprefix("o.") for line in view.splitlines() if line.strip().startswith("o.")
    }
    assert "USER_PSEUDONYM" in shown
    assert not shown & {"USER_ID", "DEVICE_ID", "SOURCE_ID", "EVENT_ID", "EXTRA", "CONSENT", "SESSION_ID"}
    text = statement("publish/amplitude", "offer", ["2026-11-23"], purpose="analytics")
    selected = text.partition("SELECT")[2].partition("FROM PUBLISH.OUTBOX")[0]
    assert "e.USER_ID" not in selected
    assert "e.DEVICE_ID" not in selected


def test_an_offer_asks_consent_at_event_time_and_suppression_at_publish_time() -> None:
    text = statement("publish/amplitude", "offer", ["2026-11-23"], purpose="analytics")
    assert "e.CONSENT:analytics::VARCHAR = 'true'" in text
    assert "TYPEOF(e.CONSENT:analytics) = 'BOOLEAN'" in text, "the text 'true' is no consent"
    assert "su.IDENTIFIER IS NULL AND sd.IDENTIFIER IS NULL AND d.EVENT_ID IS NULL" in text


def test_json_in_the_contract_is_sorted_into_what_exists() -> None:
    known = json.loads((Path(destinations.__file__).parent / "amplitude.json").read_text())
    assert set(known) == set(Contract.__struct_fields__)
