"""What the OpenAPI document says of every route of clients."""

from __future__ import annotations

import json
from typing import Any

from ingest_api import openapi
from tests.unit.ingest_api.rsgi_request import settings


def test_every_route_of_clients_says_what_another_method_gets() -> None:
    document = json.loads(openapi.document(settings()))
    found = [
        (path, method, call["responses"])
        for path, calls in document["paths"].items()
        for method, call in calls.items()
        if call["tags"] != ["Health"]
    ]
    assert len(found) > 20
    assert [(path, method) for path, method, responses in found if "405" not in responses] == []
    assert "OPTIONS" in document["info"]["description"]


def test_every_good_answer_and_every_body_has_an_example() -> None:
    document = json.loads(openapi.document(settings()))
    calls = [(path, call) for path, calls in document["paths"].items() for call in calls.values()]
    contents = [(path, call["responses"]["200"]["content"]) for path, call in calls]
    contents += [(path, call["requestBody"]["content"]) for path, call in calls if "requestBody" in call]
    without = [path for path, content in contents for shown in content.values() if not _has_example(shown, document)]
    assert without == []


def _has_example(shown: dict[str, Any], document: dict[str, Any]) -> bool:
    named = shown["schema"].get("$ref", "").rpartition("/")[2]
    schema = document["components"]["schemas"][named] if named else shown["schema"]
    return "example" in shown or "example" in schema
