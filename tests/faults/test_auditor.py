"""The auditor of the kill audit finds what it is there to find, in altered ledgers and altered rows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from local.reader import EventKey
from tests.faults import audit_ledger, auditor
from tests.faults.audit_ledger import Ledger, LedgerWriter
from tests.faults.auditor import Topic, Warehouse

IDS = [f"id-{number}" for number in range(10)]
KEYS: list[EventKey] = [("app", one) for one in IDS]


class World:
    """Two clients, ten ids acknowledged and two never; all ten and one of the two are in Kafka and in EVENTS."""

    def __init__(self, folder: Path) -> None:
        for client, ids in {"first": IDS[:6], "second": IDS[6:]}.items():
            with LedgerWriter(folder / client) as ledger:
                ledger.add("sent", "app", ids)
                ledger.add("acknowledged", "app", ids)
        with LedgerWriter(folder / "second") as ledger:
            ledger.add("sent", "app", ["cut-off", "refused"])
        self.ledgers = {path.name: audit_ledger.read(path) for path in sorted(folder.iterdir())}
        there = [*KEYS, ("app", "cut-off")]
        self.topic, self.warehouse = Topic(), Warehouse()
        # A retry is twice in Kafka, and once in EVENTS.
        self.topic.ids.update([*there, *KEYS[:3]])
        self.warehouse.events.update(there)

    def problems(self) -> list[str]:
        return auditor.judge(self.ledgers, self.topic, self.warehouse).problems()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_as_it_should_be_has_no_problem(world: World) -> None:
    assert world.ledgers["first"] == Ledger(set(KEYS[:6]), set(KEYS[:6]))
    assert world.ledgers["second"].sent - world.ledgers["second"].acknowledged == {
        ("app", "cut-off"),
        ("app", "refused"),
    }
    assert world.problems() == []


def _lost(world: World) -> None:
    del world.warehouse.events[KEYS[7]]
    del world.topic.ids[KEYS[7]]


def _not_loaded(world: World) -> None:
    del world.warehouse.events[KEYS[0]]


def _same_id_in_another_source(world: World) -> None:
    world.ledgers["first"].sent.add(("other", IDS[0]))
    world.ledgers["first"].acknowledged.add(("other", IDS[0]))


def _twice(world: World) -> None:
    world.warehouse.events[KEYS[3]] += 1


def _foreign(world: World) -> None:
    world.warehouse.events["app", "stranger"] += 1
    world.topic.ids["app", "stranger"] += 1


def _from_nowhere(world: World) -> None:
    del world.topic.ids[KEYS[3]]


def _failed(world: World) -> None:
    world.warehouse.failed.append(("app", IDS[0], "expect_column_values_to_not_be_null", None))


def _never_sent(world: World) -> None:
    world.ledgers["first"].sent.discard(KEYS[0])


@pytest.mark.parametrize(
    ("alter", "wanted"),
    [
        (
            _lost,
            [
                "second: 1 ids (app id-7) acknowledged and not in EVENTS",
                "second: 1 ids (app id-7) acknowledged and not in Kafka",
            ],
        ),
        (
            _not_loaded,
            [
                "first: 1 ids (app id-0) acknowledged and not in EVENTS",
                "1 ids (app id-0) in Kafka and not in EVENTS",
            ],
        ),
        (
            _same_id_in_another_source,
            [
                "first: 1 ids (other id-0) acknowledged and not in EVENTS",
                "first: 1 ids (other id-0) acknowledged and not in Kafka",
            ],
        ),
        (_twice, ["1 ids (app id-3) more than once in EVENTS"]),
        (_foreign, ["1 ids (app stranger) in EVENTS and sent by nobody"]),
        (
            _from_nowhere,
            [
                "first: 1 ids (app id-3) acknowledged and not in Kafka",
                "1 ids (app id-3) in EVENTS and not in Kafka",
            ],
        ),
        (
            _failed,
            ["1 rows in FAILED_EVENTS, the first: [('app', 'id-0', 'expect_column_values_to_not_be_null', None)]"],
        ),
        (
            _never_sent,
            [
                "first: 1 ids (app id-0) acknowledged and never sent",
                "1 ids (app id-0) in EVENTS and sent by nobody",
            ],
        ),
    ],
    ids=lambda one: one.__name__.strip("_") if callable(one) else "",
)
def test_what_is_wrong_is_found(world: World, alter: Callable[[World], None], wanted: list[str]) -> None:
    alter(world)
    assert world.problems() == wanted


def test_judging_alters_nothing(world: World) -> None:
    before = copy.deepcopy(world.__dict__)
    world.problems()
    assert world.__dict__ == before


def test_a_ledger_with_a_line_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "client"
    with LedgerWriter(path) as ledger:
        ledger.add("sent", "app", IDS)
    path.write_text(path.read_text() + "delivered\tapp\tid-1\n")
    with pytest.raises(ValueError, match="client:2: 'delivered' is neither sent nor acknowledged"):
        audit_ledger.read(path)
