"""What publish_<vendor> does: offer every load it was not offered yet, and push where it does not import."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from include.destinations import Destination
from include.settings import PipelineSettings
from include.statements import statement
from include.warehouse import Warehouse

log = logging.getLogger(__name__)
LOADS_AT_ONCE = 200
_COLUMNS = (
    "user_id", "device_id", "event_type", "time", "event_properties", "user_properties", "insert_id", "platform",
    "app_version", "os_name", "os_version", "device_model", "language", "country",
)  # fmt: skip


def offer(warehouse: Warehouse, destination: Destination, settings: PipelineSettings) -> int:
    """Make all loads that were not offered yet visible to the vendor; returns the number of events offered.

    One transaction a step: rows, delivery memory and watermark move together, and every publication has one strictly
    larger `published_at`, so that an importer misses nothing whether its cursor is `>` or `>=`.
    """
    offered = 0
    while load_ids := _pending(warehouse, destination.vendor)[:LOADS_AT_ONCE]:
        offered += _offer(warehouse, destination, settings, load_ids)
    return offered


def push(warehouse: Warehouse, destination: Destination, settings: PipelineSettings) -> dict[str, int]:
    """Post what is offered and not taken; killed in between, the same events are posted again under the same ids."""
    totals = {"taken": 0, "refused": 0}
    while events := _to_push(warehouse, destination.vendor, settings.amplitude_push_events):
        answer = destination.push(events)
        values: dict[str, Any] = {"vendor": destination.vendor}
        if answer.taken:
            warehouse.run(
                statement("publish/deliveries", "taken"), values | {"insert_ids": list(answer.taken)}, "marking taken"
            )
        for insert_id, reason in answer.refused:
            row = values | {"insert_ids": [insert_id], "refusal": reason}
            warehouse.run(statement("publish/deliveries", "refused"), row, "marking refused")
            log.warning("%s refused %s: %s", destination.vendor, insert_id, reason)
        totals["taken"] += len(answer.taken)
        totals["refused"] += len(answer.refused)
    return totals


def pseudonym(settings: PipelineSettings, vendor: str, kind: str, identifier: str) -> str:
    """Return the HMAC-SHA256 of an identifier; other vendors and kinds get other pseudonyms."""
    key = bytes.fromhex(settings.pseudonym_key)
    return hmac.digest(key, f"{vendor}\0{kind}\0{identifier}".encode(), "sha256").hex()


def _pending(warehouse: Warehouse, vendor: str) -> list[str]:
    rows = warehouse.run(statement("publish/offer", "pending"), {"vendor": vendor}, "reading PUBLICATIONS")
    return [str(row[0]) for row in rows]


def _offer(warehouse: Warehouse, destination: Destination, settings: PipelineSettings, load_ids: list[str]) -> int:
    vendor, purpose = destination.vendor, destination.contract.purpose
    values: dict[str, Any] = {
        "vendor": vendor,
        "load_ids": load_ids,
        "key_version": settings.pseudonym_key_version,
        "nobody": destination.contract.nobody,
        "event_properties": destination.contract.event_properties,
        "user_properties": destination.contract.user_properties,
    }
    with warehouse.transaction(f"publish:{vendor}", load_ids[0]):
        if not set(load_ids) <= set(_pending(warehouse, vendor)):
            return 0  # another publisher offered them while this one waited for the lock
        values["published_at"] = warehouse.run(statement("publish/offer", "next_watermark"), values)[0][0]
        dates = [str(row[0]) for row in warehouse.run(statement("publish/offer", "dates"), values, "reading OUTBOX")]
        if dates:
            _add_pseudonyms(warehouse, settings, vendor, dates, purpose, values)
            warehouse.run(statement(f"publish/{vendor}", "offer", dates, purpose=purpose), values, "offering events")
        outbox = f"{vendor.upper()}_OUTBOX"
        warehouse.run(statement("publish/offer", "deliveries", outbox=outbox), values, "writing DELIVERIES")
        warehouse.run(statement("publish/offer", "publications"), values, "writing PUBLICATIONS")
        warehouse.run(statement("publish/offer", "advance"), values, "advancing the watermark")
        return int(warehouse.run(statement("publish/offer", "offered"), values)[0][0] or 0)


def _add_pseudonyms(
    warehouse: Warehouse,
    settings: PipelineSettings,
    vendor: str,
    dates: list[str],
    purpose: str,
    values: Mapping[str, Any],
) -> None:
    found = warehouse.run(
        statement("publish/offer", "new_identifiers", dates, purpose=purpose), values, "reading identifiers"
    )
    rows = [
        {
            "vendor": vendor,
            "kind": kind,
            "identifier": identifier,
            "pseudonym": pseudonym(settings, vendor, kind, identifier),
            "key_version": settings.pseudonym_key_version,
        }
        for kind, identifier in found
    ]
    warehouse.insert(statement("publish/offer", "add_pseudonym"), rows, "writing PSEUDONYMS")


def _to_push(warehouse: Warehouse, vendor: str, limit: int) -> list[dict[str, Any]]:
    rows = warehouse.run(statement(f"publish/{vendor}", "to_push"), {"limit": limit}, "reading the outbox")
    return [_event(row) for row in rows]


def _event(row: Sequence[Any]) -> dict[str, Any]:
    """Return a row of the vendor's view as its JSON event; VARIANT columns arrive as JSON text."""
    event = {name: value for name, value in zip(_COLUMNS, row, strict=True) if value is not None}
    for name in ("event_properties", "user_properties"):
        if isinstance(event.get(name), str):
            event[name] = json.loads(event[name])
    return event
