"""What the warehouse knows of an event id: rows of EVENTS and FAILED_EVENTS, the load, and the vendor's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from include.destinations import contract
from include.statements import statement
from include.tracing.model import Place, Step, Where, utc
from include.warehouse import Warehouse

VENDOR = "amplitude"


class Row(msgspec.Struct, frozen=True):
    """A row of the warehouse: its lineage, and the steps before and behind the way through Kafka and lake."""

    place: Place
    source_id: str
    event_id: str
    event_name: str | None
    received_at: datetime | None
    where: Where
    before: tuple[Step, ...]
    after: tuple[Step, ...]


def find(warehouse: Warehouse, event_id: str, source_id: str | None, occurred_on: date | None = None) -> list[Row]:
    """Return all rows with this id; EVENTS is read as a whole where the date of the event is not given."""
    values = {"event_id": event_id, "source_id": source_id, "occurred_on": occurred_on}
    events = statement("trace/find", "events", purpose=contract(VENDOR).purpose)
    found = [_event(warehouse, row) for row in warehouse.run(events, values, "looking in EVENTS")]
    failed = warehouse.run(statement("trace/find", "failed"), values, "looking in FAILED_EVENTS")
    return [*found, *(_failed(warehouse, row) for row in failed)]


def _event(warehouse: Warehouse, row: Sequence[Any]) -> Row:
    occurred_at, sent_at, occurred_on, user_id, device_id, consent = row[9:]
    before = [
        Step(name, utc(at), "by the device's clock")
        for name, at in (("occurred", occurred_at), ("sent", sent_at))
        if at is not None
    ]
    key = {"source_id": row[0], "event_id": row[1], "occurred_on": occurred_on, "vendor": VENDOR}
    person = {"user_id": user_id, "device_id": device_id}
    after = (_loaded(warehouse, row, f"EVENTS, date {occurred_on}"), *_vendor(warehouse, key, person, consent))
    return _row("EVENTS", row, tuple(before), after)


def _failed(warehouse: Warehouse, row: Sequence[Any]) -> Row:
    expectation, column, value, reasons = row[9:]
    others = len(msgspec.json.decode(reasons, type=list[Any])) - 1 if isinstance(reasons, str) else 0
    more = f", and {others} more reasons" if others > 0 else ""
    text = f"{expectation} on {column}, value {value!r}{more}"
    loaded = _loaded(warehouse, row, "FAILED_EVENTS")
    return _row("FAILED_EVENTS", row, (), (loaded, Step("failed because", None, text)))


def _row(place: Place, row: Sequence[Any], before: tuple[Step, ...], after: tuple[Step, ...]) -> Row:
    topic, _, number = str(row[8]).rpartition("-")
    where = Where(topic, int(row[5]), int(row[6]), int(row[7]), int(number) if number.isdigit() else None)
    return Row(place, str(row[0] or ""), str(row[1]), row[2], utc(row[3]), where, before, after)


def _loaded(warehouse: Warehouse, row: Sequence[Any], table: str) -> Step:
    found = warehouse.run(statement("trace/find", "load"), {"batch_id": row[8]}, "looking in LOADS")
    load = f"load {found[0][0]}" if found else "LOADS has no row for its plan, see docs/runbooks/not-loaded.md"
    return Step("loaded", utc(row[4]), f"{table}; {load}")


def _vendor(
    warehouse: Warehouse, key: Mapping[str, Any], person: Mapping[str, Any], consent: str | None
) -> Iterator[Step]:
    """Yield the vendor's side: outbox, then what was delivered, or why nothing was."""
    outbox = warehouse.run(statement("trace/find", "outbox"), key, "looking in OUTBOX")
    if not outbox:
        yield Step("outbox", None, "not in the outbox: it was not new when it was loaded")
    for load_id, loaded_at, _ in outbox:
        yield Step("outbox", utc(loaded_at), f"by load {load_id}")
    deliveries = warehouse.run(statement("trace/find", "delivery"), key, "looking in DELIVERIES")
    mine = [row for row in deliveries if _day(row[0]) == _day(key["occurred_on"])]
    if mine:
        yield from _delivered(mine[0])
        return
    yield Step("not offered", None, _why_not(warehouse, outbox, deliveries, person, consent))


def _delivered(row: Sequence[Any]) -> Iterator[Step]:
    _, offered, taken, refused, refusal, confirmed = row
    if offered is None:
        yield Step("not offered", utc(refused), f"{VENDOR} takes no such event: {refusal}")
        return
    yield Step("offered", utc(offered), f"visible to {VENDOR}")
    if taken:
        yield Step("taken", utc(taken), f"{VENDOR} answered that it took it")
    if refused:
        yield Step("refused", utc(refused), f"{VENDOR} will never take it: {refusal}")
    if confirmed:
        yield Step("confirmed", utc(confirmed), f"seen in {VENDOR}'s export")
    elif not refused:
        yield Step("not confirmed", None, f"settle_hour has not seen it in {VENDOR}'s export yet; that lags by hours")


def _why_not(
    warehouse: Warehouse, outbox: Sequence[Any], deliveries: Sequence[Any], person: Mapping[str, Any], consent: Any  # noqa: ANN401
) -> str:  # fmt: skip
    purpose = contract(VENDOR).purpose
    waiting = [load_id for load_id, _, published_at in outbox if published_at is None]
    suppressed = warehouse.run(statement("trace/find", "suppressed"), person, "looking in SUPPRESSIONS")
    reasons = []
    if waiting:
        reasons.append(f"publish_{VENDOR} has not offered load {waiting[0]} yet")
    if consent != "true":
        reasons.append(f"no consent to {purpose} ({_given(consent)})")
    reasons += [f"its {kind} is suppressed since {at:%Y-%m-%d %H:%M:%S}: {why}" for kind, why, at in suppressed]
    reasons += [f"the same id was offered under date {row[0]}" for row in deliveries]
    return "; ".join(reasons) or "no reason found: see docs/runbooks/warehouse-to-amplitude.md"


def _given(consent: str | None) -> str:
    if consent is None or consent == "false":
        return consent or "missing"
    return f"{consent}; only the JSON value true is consent"


def _day(value: date | str) -> str:
    return str(value)[:10]
