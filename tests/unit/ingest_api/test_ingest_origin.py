"""Where a request comes from: only a trusted gateway is believed, and no address is kept whole."""

from __future__ import annotations

from typing import Any

import pytest

from include.contract.kafka_settings import KafkaConnection
from include.errors import SetupError
from ingest_api.origin import Origin, truncated
from ingest_api.settings import Settings, load
from tests.unit.ingest_api.scopes import scope

GATEWAY = "10.0.0.7:443"


def _origin(**changes: Any) -> Origin:
    settings = {"trusted_proxies": ("10.0.0.0/8", "::1"), "country_header": "X-Country", "client_ip": "truncated"}
    return Origin(Settings(KafkaConnection(), **{**settings, **changes}))


def test_by_default_only_the_user_agent_is_known() -> None:
    found = Origin(Settings(KafkaConnection())).of(
        scope(user_agent="App/1", x_country="DE", x_forwarded_for="192.0.2.9")
    )
    assert found == {"user_agent": "App/1"}


def test_a_trusted_gateway_is_believed() -> None:
    found = _origin().of(scope(client=GATEWAY, x_country="DE", x_forwarded_for="198.51.100.77"))
    assert found == {"user_agent": "", "country": "DE", "client_ip": "198.51.100.0"}


def test_a_gateway_is_believed_on_a_socket_of_both_families() -> None:
    found = _origin().of(scope(client="[::ffff:10.0.0.7]:443", x_country="DE", x_forwarded_for="198.51.100.77"))
    assert found == {"user_agent": "", "country": "DE", "client_ip": "198.51.100.0"}


def test_the_country_is_the_one_that_the_gateway_appended() -> None:
    assert _origin().of(scope(client=GATEWAY, x_country="XX\nDE"))["country"] == "DE"


def test_nobody_else_is() -> None:
    found = _origin().of(scope(client="203.0.113.5:1", x_country="DE", x_forwarded_for="198.51.100.77"))
    assert found == {"user_agent": "", "client_ip": "203.0.113.0"}


@pytest.mark.parametrize(
    ("forwarded", "kept"),
    [
        ("1.1.1.1, 198.51.100.77", "198.51.100.0"),  # what a client wrote itself comes first
        ("198.51.100.77, 10.1.1.1", "198.51.100.0"),
        ("10.1.1.1", ""),  # gateways all the way: nobody knows the client
        ("", ""),
        ("198.51.100.77, ", "198.51.100.0"),
        ("not an address", ""),
        ("1.1.1.1\n198.51.100.77", "198.51.100.0"),  # a gateway that adds a line of its own
        ("198.51.100.77:4711", "198.51.100.0"),
        ("[2001:db8:1::7]:4711", "2001:db8:1::"),
        ("2001:db8:1::7", "2001:db8:1::"),
    ],
)
def test_the_last_address_that_no_gateway_wrote(forwarded: str, kept: str) -> None:
    assert _origin().of(scope(client=GATEWAY, x_forwarded_for=forwarded))["client_ip"] == kept


def test_without_leave_no_address_is_kept() -> None:
    found = _origin(client_ip="none").of(scope(client=GATEWAY, x_country="DE", x_forwarded_for="198.51.100.77"))
    assert found == {"user_agent": "", "country": "DE"}


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("198.51.100.77", "198.51.100.0"),
        ("2001:db8:1:2:3::4", "2001:db8:1::"),
        ("::ffff:198.51.100.77", "198.51.100.0"),
        ("localhost", ""),
    ],
)
def test_addresses_are_shortened(address: str, kept: str) -> None:
    assert truncated(address) == kept


@pytest.mark.parametrize("client", ["[::1]:7000", "::1:7000"])
def test_peers_of_the_sixth_version(client: str) -> None:
    assert _origin().of(scope(client=client, x_country="AT"))["country"] == "AT"


def test_a_user_agent_is_bounded_and_clean() -> None:
    found = _origin().of(scope(user_agent="A\tB" + "x" * 1_000 + "\ud800"))
    assert len(found["user_agent"]) == 254
    assert found["user_agent"].startswith("ABx")


def test_a_wrong_network_is_named_at_the_start() -> None:
    with pytest.raises(SetupError, match="INGEST_TRUSTED_PROXIES: 'gateway' does not appear to be"):
        load({"INGEST_TRUSTED_PROXIES": "10.0.0.0/8,gateway"})
