"""The stand-in behind a test client, on a clock that the test holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.unit.local.amplitude.calls import Clock, new_client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(tmp_path: Path, clock: Clock) -> Iterator[TestClient]:
    with new_client(tmp_path, clock) as opened:
        yield opened
