"""Ports: free ones are different, taken ones are named with their owner."""

from __future__ import annotations

import os
import socket

import pytest

from include.errors import SetupError
from local.ports import free_ports, owner, require_free


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(["a", "b", "c"])
    assert len(set(ports.values())) == 3
    require_free(ports)


def test_taken_port_is_reported_with_owner_and_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError) as caught:
            require_free({"LOCAL_KAFKA_PORT": port, **free_ports(["LOCAL_AZURITE_PORT"])})
    message = str(caught.value)
    assert f"Port {port} is taken by" in message
    assert f"process {os.getpid()} (" in message
    assert "LOCAL_KAFKA_PORT=<port>" in message
    assert "AZURITE" not in message


def test_port_that_two_parts_want_is_said_before_anything_starts() -> None:
    port = free_ports(["a"])["a"]
    with pytest.raises(SetupError, match=f"Port {port} is wanted by LOCAL_INGEST_PORT and LOCAL_AIRFLOW_PORT"):
        require_free({"LOCAL_INGEST_PORT": port, "LOCAL_AIRFLOW_PORT": port})


def test_port_that_was_just_given_up_counts_as_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    require_free({"LOCAL_KAFKA_PORT": port})


def test_owner_of_a_port_that_nobody_has_is_unknown() -> None:
    assert owner(free_ports(["a"])["a"]) == "another process"
