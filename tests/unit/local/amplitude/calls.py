"""How the tests call the stand-in: a clock they hold, a client, one good event, one upload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from local.amplitude.app import create_app
from local.amplitude.settings import AmplitudeSettings


class Clock:
    """Seconds since the epoch, moved by the test."""

    now = 1_795_393_297.5  # 2026-11-23 00:21:37.500 UTC

    def __call__(self) -> float:
        return self.now


def new_client(folder: Path, clock: Clock, export_delay_seconds: float = 0) -> TestClient:
    settings = AmplitudeSettings(
        api_key="key-1", secret_key="secret-1", dir=str(folder), export_delay_seconds=export_delay_seconds
    )
    return TestClient(create_app(settings, clock))


def event(insert_id: str = "i-1", **changes: object) -> dict[str, Any]:
    return {"device_id": "device-1", "event_type": "opened", "time": 5, "insert_id": insert_id, **changes}


def upload(client: TestClient, *events: object, path: str = "/batch", **request: object) -> tuple[int, dict[str, Any]]:
    answer = client.post(path, json={"api_key": "key-1", "events": list(events), **request})
    body: dict[str, Any] = answer.json()
    assert body["code"] == answer.status_code
    return answer.status_code, body
