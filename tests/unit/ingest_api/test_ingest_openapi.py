"""What the OpenAPI document says of every route of clients."""

from __future__ import annotations

import json

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
