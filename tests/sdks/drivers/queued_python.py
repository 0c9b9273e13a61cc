"""Drives segment-analytics-python and rudder-sdk-python, which share one interface and have no callback of success.

`on_error` names the messages that were given up. Of the others one counts as delivered once a `flush()` that began
after it was queued has returned: the queue was empty then, so it was sent.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from tests.sdks.calls import Call
from tests.sdks.drivers.protocol import Order, Report, leave


def main(package: str) -> None:
    """Make the calls while a thread flushes again and again; wait for its last flush."""
    order, report = Order.read(), Report()

    def failed(error: Exception, batch: list[dict[str, Any]]) -> None:
        for message in batch:
            report.outcome(message["messageId"], str(error))

    client = import_module(package).Client(
        order.key, host=order.url, on_error=failed, upload_interval=order.flush_seconds, **order.options
    )
    queued: list[str] = []
    flusher = threading.Thread(target=_flush, args=(client, queued, report, len(order.calls)), daemon=True)
    flusher.start()
    for call in order.paced(report):
        success, _ = _make(client, call)
        if not success:
            report.outcome(call.id, "the SDK's queue is full")
        queued.append(call.id)
    order.wait(lambda: len(report.outcomes) == len(order.calls))
    leave()


def _flush(client: Any, queued: list[str], report: Report, count: int) -> None:
    done = 0
    while done < count:
        before = len(queued)
        client.flush()
        for identifier in queued[done:before]:
            report.outcome(identifier, None)
        done = before
        threading.Event().wait(0.05)


def _make(client: Any, call: Call) -> tuple[bool, dict[str, Any]]:
    common = {
        "user_id": call.user_id,
        "context": dict(call.context),
        "timestamp": datetime.fromtimestamp(call.time_ms / 1000, UTC),
        "message_id": call.id,
    }
    if call.kind != "alias":
        common["anonymous_id"] = call.device_id
    method: Callable[..., tuple[bool, dict[str, Any]]] = getattr(client, call.kind)
    return method(**common, **_own(call))


def _own(call: Call) -> dict[str, Any]:
    values: dict[str, dict[str, Any]] = {
        "track": {"event": call.name, "properties": call.properties},
        "identify": {"traits": call.properties},
        "group": {"group_id": call.group_id, "traits": call.properties},
        "page": {"name": call.name, "category": call.category, "properties": call.properties},
        "screen": {"name": call.name, "category": call.category, "properties": call.properties},
        "alias": {"previous_id": call.previous_id},
    }
    return values[call.kind]


if __name__ == "__main__":
    main(sys.argv[1])
