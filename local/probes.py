"""Asks each part whether it serves, so that the next one is started neither too early nor too late."""

from __future__ import annotations

import http.client
import json
import logging
import socket
from collections.abc import Callable
from datetime import datetime

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local.ports import HOST

Probe = Callable[[float], bool]
"""Takes the time (seconds since the epoch) at which the part was started; says whether it serves."""

_TIMEOUT_SECONDS = 1.0
_SILENT = logging.getLogger("local.probes.kafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


def kafka(port: int) -> Probe:
    """Ready when the broker answers for itself with its metadata."""

    def probe(_started_at: float) -> bool:
        if not _accepts(port):
            return False
        client = AdminClient({"bootstrap.servers": f"{HOST}:{port}"}, logger=_SILENT)
        try:
            return bool(client.list_topics(timeout=_TIMEOUT_SECONDS).brokers)
        except KafkaException:
            return False

    return probe


def http_status(port: int, path: str, *, any_answer: bool = False) -> Probe:
    """Ready when GET answers 200 (or, where the part has no health page, anything)."""

    def probe(_started_at: float) -> bool:
        answer = _get(port, path)
        return answer is not None and (any_answer or answer[0] == 200)

    return probe


def airflow_component(port: int, name: str) -> Probe:
    """Ready when the component's heartbeat in Airflow's health page is younger than its process."""

    def probe(started_at: float) -> bool:
        answer = _get(port, "/api/v2/monitor/health")
        if answer is None or answer[0] != 200:
            return False
        component = json.loads(answer[1]).get(name) or {}
        heartbeat = component.get(f"latest_{name}_heartbeat")
        return heartbeat is not None and datetime.fromisoformat(heartbeat).timestamp() >= started_at

    return probe


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=_TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def _get(port: int, path: str) -> tuple[int, bytes] | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
