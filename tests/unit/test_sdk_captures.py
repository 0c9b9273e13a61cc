"""The captures are of the locked SDKs: another version needs other captures (`python -m tests.sdks.capture`)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from local.paths import ROOT
from tests.sdks import calls, capture, clients

CAPTURES = sorted(capture.CAPTURES.glob("*.json"))


def _locked(package: str) -> str:
    npm: dict[str, str] = json.loads((ROOT / "tests/sdks/package.json").read_text())["dependencies"]
    python = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "local/requirements.txt").read_text(), re.MULTILINE))
    return npm[package] if package in npm else str(python[package])


def _items(request: dict[str, Any]) -> list[dict[str, Any]]:
    body = request["body"] or {"events": []}
    items: list[dict[str, Any]] = body["events"] if "events" in body else body["batch"]
    return items


def test_there_is_a_capture_of_every_sdk_and_variant() -> None:
    wanted = {sdk.name + variant for sdk in clients.SDKS_UNDER_TEST for variant in capture.variants(sdk)}
    assert {file.stem for file in CAPTURES} == wanted


@pytest.mark.parametrize("file", CAPTURES, ids=lambda file: file.stem)
def test_capture_is_of_the_locked_version_and_has_the_known_set(file: Any) -> None:
    captured = json.loads(file.read_text())
    sdk = next(sdk for sdk in clients.SDKS_UNDER_TEST if sdk.package == captured["sdk"])
    items = [item for request in captured["requests"] for item in _items(request)]
    versions = {
        item["library"].rpartition("/")[2] if "library" in item else item["context"]["library"]["version"]
        for item in items
    }
    assert versions == {_locked(sdk.package)}
    known = {call.id for call in calls.known_set(sdk.dialect, "capture")}
    assert known <= {item.get("insert_id") or item["messageId"] for item in items}
