"""The table of outcomes is complete and consistent, and the OpenAPI document is made from it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from include.contract import edge
from include.contract.kafka_settings import KafkaConnection
from ingest_api import openapi
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.settings import Settings

SETTINGS = Settings(kafka=KafkaConnection())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(openapi.document(SETTINGS))
    return found


def test_ids_are_unique_and_statuses_are_answers() -> None:
    errors = [outcome.error for outcome in Outcome]
    assert len(set(errors)) == len(errors)
    assert [outcome for outcome in Outcome if outcome.status == 200] == [Outcome.ACCEPTED]
    assert all(outcome.status in {200, 400, 401, 403, 404, 405, 408, 413, 415, 429, 500, 503} for outcome in Outcome)


def test_a_refusal_speaks_for_itself() -> None:
    assert RefusedError(Outcome.NO_EVENTS).message == Outcome.NO_EVENTS.meaning
    assert RefusedError(Outcome.NO_EVENTS, "none").message == "none"


def test_every_refusal_is_in_the_document(document: dict[str, Any]) -> None:
    responses = document["paths"]["/v1/events"]["post"]["responses"]
    for outcome in Outcome:
        if outcome.status in {404, 405}:
            continue
        described = responses[str(outcome.status)]["description"]
        assert outcome.meaning in described
    refused = document["components"]["schemas"]["Refused"]
    assert set(refused["properties"]["error"]["enum"]) == {outcome.error for outcome in Outcome} - {"accepted"}
    assert {"code", "error", "message"} == set(refused["required"])


def test_the_documented_event_is_the_checked_event(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["Event"]["properties"]
    assert set(described) == set(edge._Event.__struct_fields__)
    example = document["components"]["schemas"]["Batch"]["example"]
    checked = edge.check(msgspec.json.encode(example))
    assert checked.event_count == 1
    assert checked.rejected == {}
