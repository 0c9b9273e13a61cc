"""Clients of the commands outside Airflow: each kind of lake connection leads to its account, broken ones are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include import clients
from include.errors import SetupError
from tests.unit.include.fakes import SETTINGS

KEY = "a2V5"


def lake_of(**spec: Any) -> str:
    with clients.lake({"AIRFLOW_CONN_LAKE": json.dumps(spec)}, SETTINGS) as lake:
        return str(lake.container.url)


@pytest.mark.parametrize(("spec", "url"), [
    ({"host": "https://acc.blob.core.windows.net", "password": KEY}, "https://acc.blob.core.windows.net/lake"),
    ({"login": "acc", "password": KEY}, "https://acc.blob.core.windows.net/lake"),
    ({"host": "acc.blob.core.windows.net", "extra": {"shared_access_key": KEY}}, "https://acc.blob.core.windows.net/lake"),
    ({"host": "https://acc.blob.core.windows.net", "extra": {"sas_token": "sv=1"}}, "https://acc.blob.core.windows.net/lake"),
    ({"host": "https://acc.blob.core.windows.net", "login": "i", "password": "p", "extra": {"tenant_id": "t-1"}},
     "https://acc.blob.core.windows.net/lake"),
    ({"host": "https://acc.blob.core.windows.net"}, "https://acc.blob.core.windows.net/lake"),
])  # fmt: skip
def test_each_kind_of_connection_leads_to_its_account(spec: dict[str, Any], url: str) -> None:
    assert lake_of(**spec) == url


def test_a_connection_string_that_is_none_wants_a_human() -> None:
    with pytest.raises(SetupError, match=r"connection `lake` cannot be used: .*see docs/runbooks/lake-refused.md"):
        lake_of(extra={"connection_string": "nonsense"})


def test_a_connection_that_is_missing_is_named() -> None:
    with pytest.raises(SetupError, match="AIRFLOW_CONN_KAFKA_EVENTS is not set"):
        clients.kafka({})


def test_kafka_gets_the_connections_properties() -> None:
    spec = json.dumps({"extra": {"bootstrap.servers": "127.0.0.1:9"}})
    assert clients.kafka({"AIRFLOW_CONN_KAFKA_EVENTS": spec})["bootstrap.servers"] == "127.0.0.1:9"
