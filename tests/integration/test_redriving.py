"""Failed events after a fix: brought to EVENTS once with their lineage, in every dialect; what cannot be is said."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from include import reconcile, staging
from include.contract.dialects import amplitude, kinds, reader
from include.contract.dialects.mapping import Table
from include.failures import FAILED_SCHEMA
from include.lake import sealed
from include.migrate import MigrationSettings, migrate
from include.redriving import RESULTS
from include.rows import Chunk
from tests.integration.pipeline import SOURCES, Pipeline, Request, event, foreign, request

pytestmark = pytest.mark.usefixtures("gx")
PLACE = "SOURCE_ID, EVENT_ID, BATCH_ID, KAFKA_PARTITION, KAFKA_OFFSET, ENVELOPE_INDEX"
NOTHING = dict.fromkeys(RESULTS, 0)


def fill(pipe: Pipeline, *requests: Request) -> None:
    pipe.produce(*requests)
    pipe.stage()
    pipe.load()


def learn(pipe: Pipeline, *sources: str) -> None:
    """Make sources known that were not: the fix."""
    pipe.known = (*SOURCES, *sources)


def places(pipe: Pipeline, table: str, where: str = "TRUE") -> list[tuple[Any, ...]]:
    return pipe.rows(f"SELECT {PLACE} FROM CORE.{table} WHERE {where} ORDER BY 1, 2")  # noqa: S608


def test_what_failed_for_an_unknown_source_is_in_events_once_with_its_lineage(pipe: Pipeline) -> None:
    fill(
        pipe,
        request(event("good"), event("one"), event("two", occurred_at=None), source_id="new-app", partition=2),
        request(event("known"), event("bad", platform="symbian")),
    )
    failed = places(pipe, "FAILED_EVENTS", "SOURCE_ID = 'new-app'")
    assert len(failed) == 3
    assert pipe.redrive() == NOTHING | {"looked_at": 4, "still_failed": 4}, "nothing was fixed yet"
    learn(pipe, "new-app")
    assert pipe.redrive() == NOTHING | {"looked_at": 4, "still_failed": 1, "redriven": 3, "events": 3}
    assert places(pipe, "EVENTS", "SOURCE_ID = 'new-app'") == failed
    assert pipe.redrive() == NOTHING | {"looked_at": 1, "still_failed": 1}
    resolved = pipe.failed("EVENT_ID", "RESOLUTION", "RESOLVED_EVENT_ID", "RESOLVED_AT IS NULL")
    assert sorted(resolved, key=str) == [
        ("bad", None, None, True), *((one, "redriven", one, False) for one in ("good", "one", "two")),
    ]  # fmt: skip
    assert pipe.rows("SELECT COUNT(*) FROM PUBLISH.OUTBOX") == [(1,)], "nothing is published here"
    with pipe.warehouse() as warehouse:
        hops = reconcile.warehouse_hops(warehouse, list(sealed(pipe.lake, [1])))
    assert [(hop.name, hop.unexplained) for hop in hops] == [
        ("lake_to_events", 0), ("events_twice", 0), ("lake_to_failed_events", 0),
    ]  # fmt: skip


AMPLITUDE_EVENT = {
    "insert_id": "a-1", "event_type": "tap", "user_id": "user-1", "time": 1_795_000_000_000, "platform": "iOS",
    "version_name": "4.1.0", "event_properties": {"n": 1}, "ip": "$remote",
}  # fmt: skip
TRACK = {
    "messageId": "s-1", "type": "track", "event": "tap", "anonymousId": "d-1", "timestamp": "2026-11-20T10:00:00Z",
    "context": {"app": {"version": "4.1.0"}}, "properties": {"n": 1},
}  # fmt: skip
FOREIGN = {
    "amplitude": foreign(
        "amplitude", "batch", source_id="new-app", client_ip="192.0.2.0", country="DE",
        body={"api_key": "***", "client_upload_time": "2026-11-20T10:00:01Z", "options": {"min_id_length": 1},
              "events": [{"event_type": "other", "user_id": "u", "platform": "web"}, AMPLITUDE_EVENT]},
    ),
    "segment batch": foreign(
        "segment", "batch", source_id="new-app",
        body={"writeKey": "***", "sentAt": "2026-11-20T10:00:01Z", "batch": [{**TRACK, "messageId": "s-0"}, TRACK],
              "context": {"device": {"type": "ios"}, "ip": "192.0.2.0"}},
    ),
    "segment call": foreign(
        "segment", "track", source_id="new-app", platform="web", client_device_id="d-2",
        body={key: value for key, value in TRACK.items() if key not in {"type", "anonymousId"}}
        | {"writeKey": "***", "sentAt": "2026-11-20T10:00:01Z"},
    ),
    "rudder call": foreign(
        "rudder", "identify", source_id="new-app", platform="web", client_sent_at="2026-11-20T10:00:01Z",
        body={**TRACK, "type": "identify", "channel": "web", "traits": {"plan": "x"}},
    ),
    "v1": request(
        event("v-1", network="5g"), event(None, occurred_at="2026-11-20T10:00:00Z"), source_id="new-app", batch=7
    ),
}  # fmt: skip
EVENT_COLUMNS = (
    "EVENT_ID, EVENT_NAME, USER_ID, DEVICE_ID, OCCURRED_AT, SENT_AT, RECEIVED_AT, CORRECTED_AT, OCCURRED_ON, PLATFORM, "
    "APP_VERSION, COUNTRY, LIBRARY_NAME, CONSENT, EVENT_PROPERTIES, USER_PROPERTIES, EXTRA, ENVELOPE_INDEX"
)


@pytest.mark.parametrize("dialect", FOREIGN)
def test_a_redriven_event_is_the_row_that_it_would_have_been(pipe: Pipeline, dialect: str) -> None:
    events = f"SELECT {EVENT_COLUMNS} FROM CORE.EVENTS ORDER BY ENVELOPE_INDEX"  # noqa: S608
    learn(pipe, "new-app")
    fill(pipe, FOREIGN[dialect])
    wanted = pipe.rows(events)
    pipe.rows("DELETE FROM CORE.EVENTS")
    pipe.known = SOURCES
    fill(pipe, FOREIGN[dialect])
    assert pipe.event_ids() == []
    kept = [json.loads(row[0]) for row in pipe.failed("ENVELOPE")]
    assert not any({"writeKey", "api_key"} & one["around"].keys() for one in kept)
    learn(pipe, "new-app")
    assert pipe.redrive() == NOTHING | dict.fromkeys(("looked_at", "redriven", "events"), len(wanted))
    assert pipe.rows(events) == wanted


def test_an_envelope_that_could_not_be_opened_is_opened_by_a_reader_that_can(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API may know a dialect before the drain does."""
    body = {"batch": [TRACK, {**TRACK, "messageId": "s-2", "event": "9 is no letter"}], "context": {"channel": "x"}}
    with monkeypatch.context() as patch:
        patch.setattr("include.staging.reader", lambda dialect, _call: reader(f"no {dialect}"))
        fill(pipe, foreign("segment", "batch", body, platform="web"), Request(b"\x00junk", []))
    assert len(pipe.failed("EVENT_ID")) == 2
    found = pipe.redrive()
    assert found == NOTHING | {"looked_at": 2, "still_failed": 1, "redriven": 1, "events": 1}
    assert pipe.event_ids() == ["s-1"]
    assert pipe.failed("EVENT_ID", "ENVELOPE_INDEX", "EXPECTATION", "RESOLUTION", "BATCH_ID")[1:] == [
        ("s-2", 1, "expect_column_values_to_match_regex", None, pipe.plan_ids()[0]),
        (pipe.failed("EVENT_ID")[2][0], -1, "envelope_can_be_opened", None, pipe.plan_ids()[0]),
    ]
    assert pipe.redrive() == NOTHING | {"looked_at": 2, "still_failed": 2}
    assert pipe.close_twins() == {"reopened": 0, "closed": 0}, "a whole envelope is left alone"


def test_what_the_edge_refused_and_takes_now_is_redriven(pipe: Pipeline) -> None:
    made = request(event("refused"), event("alright"))
    headers = [*made.headers, ("rejected", json.dumps({"0": "too strict in that release"}))]
    fill(pipe, Request(made.value, headers))
    assert pipe.failed("EVENT_ID", "COLUMN_NAME") == [("refused", "edge")]
    assert pipe.redrive()["redriven"] == 1
    assert pipe.event_ids() == ["alright", "refused"]


def test_a_mapping_that_reads_another_id_now_closes_its_row_and_keeps_it_closed(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = [one._replace(kind=kinds.name) if one.name == "event_id" else one for one in amplitude.TABLE.columns]
    body = {"events": [{**AMPLITUDE_EVENT, "insert_id": 123}]}
    with monkeypatch.context() as patch:
        patch.setattr(amplitude, "TABLE", Table(strict))
        fill(pipe, foreign("amplitude", "batch", body))
    ((was,),) = pipe.failed("EVENT_ID")
    assert pipe.redrive()["redriven"] == 1
    assert was != "123"
    assert pipe.failed("EVENT_ID", "RESOLVED_EVENT_ID") == [(was, "123")]
    assert pipe.close_twins() == {"reopened": 0, "closed": 0}
    assert pipe.redrive() == NOTHING


def test_rows_that_cannot_be_judged_again_are_counted_by_why(pipe: Pipeline) -> None:
    fill(pipe, request(event("old"), event("unparsed"), event("torn"), event("long"), source_id="new-app"))
    learn(pipe, "new-app")
    changes = {
        "old": "ENVELOPE = NULL", "unparsed": "ENVELOPE = NULL, EXPECTATION = 'try_parse_json'",
        "torn": "RAW = TO_BINARY('00', 'HEX')", "long": """ENVELOPE = '{"headers":{}}'""",
    }  # fmt: skip
    for event_id, change in changes.items():
        pipe.rows(f"UPDATE CORE.FAILED_EVENTS SET {change} WHERE EVENT_ID = '{event_id}'")  # noqa: S608
    wanted = NOTHING | {"looked_at": 4, "without_envelope": 1, "not_client_bytes": 1, "damaged": 2}
    assert pipe.redrive() == wanted
    assert pipe.event_ids() == []


def test_many_rows_go_page_by_page_and_poison_costs_itself(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    small = pipe.with_settings(chunk_max_events=4, chunk_max_bytes=2_000, load_max_files=1)
    for partition in (0, 1, 3):
        fill(small, request(*(event(f"{partition}-{n}") for n in range(7)), source_id="new-app", partition=partition))
    learn(small, "new-app")
    facts = Chunk.facts

    def poisoned(chunk: Chunk, table: pa.Table) -> dict[str, pa.Array]:
        if "1-3" in table["event_id"].to_pylist():
            raise ArithmeticError("nobody thought of this")
        return facts(chunk, table)

    with monkeypatch.context() as patch:
        patch.setattr(Chunk, "facts", poisoned)
        found = small.redrive()
    assert found == NOTHING | {"looked_at": 21, "redriven": 20, "events": 20, "still_failed": 1}
    assert small.redrive() == NOTHING | {"looked_at": 1, "redriven": 1, "events": 1}
    assert len(small.event_ids()) == len(set(small.event_ids())) == 21


def test_files_of_before_still_load_and_their_rows_are_counted(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [field for field in FAILED_SCHEMA if field.name not in {"occurred_on", "envelope"}]
    with monkeypatch.context() as patch:
        patch.setattr(staging, "FAILED_SCHEMA", pa.schema(before))
        fill(pipe, request(event("old"), source_id="new-app"))
    assert pipe.failed("EVENT_ID", "OCCURRED_ON", "ENVELOPE") == [("old", None, None)]
    url = f"azure://devstoreaccount1.blob.core.windows.net/{pipe.settings.lake_container}/"
    with pipe.warehouse() as warehouse:
        migrate(warehouse, MigrationSettings(lake_url=url, database=str(pipe.connect["database"])))
    learn(pipe, "new-app")
    assert pipe.redrive() == NOTHING | {"looked_at": 1, "without_envelope": 1}
    fill(pipe, request(event("old"), source_id="new-app", partition=1))
    assert pipe.close_twins() == {"reopened": 0, "closed": 1}, "its twin closes it all the same"


@pytest.mark.parametrize("whole", [False, True])
def test_json_that_the_warehouse_cannot_parse_is_not_brought(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    with monkeypatch.context() as patch:
        if whole:
            patch.setattr("include.staging.reader", lambda dialect, _call: reader(f"no {dialect}"))
        fill(pipe, request(event("odd"), event("good"), source_id="new-app"))
    learn(pipe, "new-app")
    table = Chunk.table

    def broken(chunk: Chunk) -> pa.Table:
        made = table(chunk)
        place = made.schema.get_field_index("event_properties")
        texts = pc.if_else(pc.equal(made["event_id"], "odd"), '{"x": oops}', made["event_properties"])
        return made.set_column(place, made.schema.field(place), texts)

    with monkeypatch.context() as patch:
        patch.setattr(Chunk, "table", broken)
        found = pipe.redrive()
    assert pipe.event_ids() == ["good"]
    if whole:
        assert found == NOTHING | {"looked_at": 1, "redriven": 1, "events": 1}
        assert pipe.failed("EVENT_ID", "EXPECTATION")[1:] == [("odd", "try_parse_json")]
        assert pipe.redrive() == NOTHING | {"looked_at": 1, "not_client_bytes": 1}
    else:
        assert found == NOTHING | {"looked_at": 2, "redriven": 1, "events": 1, "still_failed": 1}
        assert pipe.redrive() == NOTHING | {"looked_at": 1, "redriven": 1, "events": 1}
