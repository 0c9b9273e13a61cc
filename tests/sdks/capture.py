"""Writes what each SDK really sends into tests/sdks/captures, for the dialects' mapping and its tests.

Run it after a change of an SDK's version: `.tools/venv/bin/python -m tests.sdks.capture`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from local.paths import ROOT
from tests.sdks import clients, stub

CAPTURES = ROOT / "tests" / "sdks" / "captures"
_KEY = "capture-write-key"
# SDKs that have more than one way to send: SDK → variant in the file's name → settings.
_VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "amplitude-browser": {
        "-autocapture": {"autocapture": True},
        "-beacon": {"transport": "beacon"},
        "-gzip": {"enableRequestBodyCompression": True},
    },
    "segment-python": {"-gzip": {"gzip": True}},
    "rudder-python": {"-plain": {"gzip": False}},
    "rudder-node": {"-plain": {"gzip": False}},
}


def variants(sdk: clients.Sdk) -> dict[str, dict[str, Any]]:
    """Return the ways of an SDK to capture: its own default first, under no name."""
    return {"": {}, **_VARIANTS.get(sdk.name, {})}


def main() -> None:
    """Capture every SDK, and every variant of it."""
    CAPTURES.mkdir(exist_ok=True)
    for sdk in clients.SDKS_UNDER_TEST:
        for variant, options in variants(sdk).items():
            _write(CAPTURES / f"{sdk.name}{variant}.json", sdk, options)


def _write(file: Path, sdk: clients.Sdk, options: dict[str, Any]) -> None:
    with stub.RecordingStub() as server:
        delivery = clients.run(sdk, server.url, _KEY, 2, prefix="capture", options=options)
    if delivery.delivered != delivery.sent:
        raise RuntimeError(f"{sdk.name} did not deliver {sorted(delivery.sent - delivery.delivered)}")
    capture = {
        "sdk": sdk.package,
        "options": options,
        "foreign": delivery.foreign,
        "requests": [request.capture() for request in server.requests],
    }
    file.write_text(json.dumps(capture, indent=2, ensure_ascii=False) + "\n")
    print(f"  {file.relative_to(ROOT)}: {len(server.requests)} requests", flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
