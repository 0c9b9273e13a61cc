"""The auditor of the crash audit finds what it is there to find, at every hop; so does the comparison with the twin."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from local.reader import EventKey
from tests.faults import crash_auditor
from tests.faults.crash_auditor import Seen
from tests.faults.crash_proxy import HOST, Proxy
from tests.faults.crash_strikes import PARTS
from tests.faults.crash_tally import Tally
from tests.faults.crash_twin import Compared
from tests.faults.crash_workload import Clients, Ledger

VALID: list[EventKey] = [("app", f"id-{number}") for number in range(4)]
FAILED: list[EventKey] = [("app", "bad")]
SHOWN = [f"{source}:{event}" for source, event in VALID[:3]]


def ledger() -> Ledger:
    """Four valid events, three of them for the vendor, and a failed one; two were sent twice."""
    sent = Counter([*VALID, *FAILED, VALID[0], FAILED[0]])
    return Ledger(sent, set(VALID), set(FAILED), set(VALID[:3]))


def seen() -> Seen:
    """All of that, where it belongs."""
    tables: dict[str, list[Any]] = {"events": VALID, "failed": FAILED, "outbox": VALID}
    rows: dict[str, list[Any]] = {"view": SHOWN, "taken": SHOWN, "loads": [1, 2]}
    loads = {"publications": ["load-1"], "loaded": ["load-1"]}
    return Seen(
        kafka=Counter([*VALID, *FAILED, VALID[0], FAILED[0]]),
        lake={"events": Counter([*VALID, VALID[0]]), "failed": Counter([*FAILED, *FAILED])},
        plans=Counter([1, 2]), manifests=Counter([1, 2]),
        warehouse={name: Counter(found) for name, found in {**tables, **rows, **loads}.items()},
        vendor=Counter(SHOWN), ends={0: 7, 1: 9}, committed={0: 7, 1: 9},
    )  # fmt: skip


def problems(found: Seen) -> list[str]:
    return [problem for hop in crash_auditor.judge(ledger(), found) for problem in hop.problems()]


def test_what_is_as_it_should_be_has_no_problem() -> None:
    assert problems(seen()) == []


def _lost_in_kafka(found: Seen) -> None:
    found.kafka[VALID[1]] -= 1


def _repetition_lost_in_the_lake(found: Seen) -> None:
    found.lake["events"][VALID[0]] -= 1


def _drained_twice(found: Seen) -> None:
    found.lake["failed"].update(FAILED)


def _not_loaded(found: Seen) -> None:
    del found.warehouse["events"][VALID[2]]


def _loaded_twice(found: Seen) -> None:
    found.warehouse["events"][VALID[2]] += 1


def _failed_twice(found: Seen) -> None:
    found.warehouse["failed"][FAILED[0]] += 1


def _offered_twice(found: Seen) -> None:
    found.warehouse["view"][SHOWN[0]] += 1


def _shown_without_consent(found: Seen) -> None:
    found.vendor["app:id-3"] += 1


def _not_pushed(found: Seen) -> None:
    del found.vendor[SHOWN[1]]


def _hole_in_the_chain(found: Seen) -> None:
    found.plans = found.manifests = Counter([1, 3])
    found.warehouse["loads"].update([3])
    del found.warehouse["loads"][2]


def _not_sealed(found: Seen) -> None:
    del found.manifests[2]


def _ledger_row_twice(found: Seen) -> None:
    found.warehouse["loads"][1] += 1


def _lag(found: Seen) -> None:
    found.committed = {0: 7, 1: 8}


@pytest.mark.parametrize(
    ("alter", "wanted"),
    [
        (_lost_in_kafka, ["clients to Kafka, repetitions counted: 1 missing", "Kafka to the sealed files"]),
        (_repetition_lost_in_the_lake, ["Kafka to the sealed files, repetitions counted: 1 missing (('app', 'id-0'))"]),
        (_drained_twice, ["Kafka to the sealed files, repetitions counted: 1 twice (('app', 'bad'))"]),
        (_not_loaded, ["clients to EVENTS: 1 missing (('app', 'id-2'))"]),
        (_loaded_twice, ["clients to EVENTS: 1 twice (('app', 'id-2'))"]),
        (_failed_twice, ["clients to FAILED_EVENTS: 1 twice (('app', 'bad'))"]),
        (_offered_twice, ["consented events to the vendor's view: 1 twice (app:id-0)"]),
        (_shown_without_consent, ["consented events to the vendor: 1 foreign (app:id-3)"]),
        (_not_pushed, ["consented events to the vendor: 1 missing (app:id-1)"]),
        (_hole_in_the_chain, ["numbers without a hole to the plans: 1 missing (2)", "numbers without a hole to the"]),
        (_not_sealed, ["plans to the manifests: 1 missing (2)"]),
        (_ledger_row_twice, ["plans to LOADS: 1 twice (1)"]),
        (_lag, ["ends of the topic to the group's offsets: 1 missing (1)"]),
    ],
    ids=lambda one: one.__name__.strip("_") if callable(one) else "",
)
def test_what_is_wrong_is_found(alter: Callable[[Seen], None], wanted: list[str]) -> None:
    found = seen()
    alter(found)
    said = problems(found)
    assert len(said) == len(wanted)
    assert all(problem.startswith(start) for problem, start in zip(said, wanted, strict=True)), said


def test_a_row_of_one_side_only_is_a_difference_of_both() -> None:
    assert list(Compared("EVENTS", Counter("aab"), Counter("aab")).problems()) == []
    assert list(Compared("EVENTS", Counter("aab"), Counter("abc")).problems()) == [
        "EVENTS: 1 only in the audited run, such as a",
        "EVENTS: 1 only in the twin run, such as c",
    ]


def test_boundaries_at_which_nothing_died_are_named() -> None:
    tally = Tally(boundaries={"load": Counter({"before COMMIT": 1, "after COMMIT": 1})})
    tally.crashes["load", "after COMMIT"] += 1
    assert tally.untouched() == ["load: before COMMIT"]
    assert set(PARTS) >= set(tally.boundaries)


def test_the_clients_repeat_themselves_in_every_way_and_again_from_the_same_seed() -> None:
    clients, again = Clients(7), Clients(7)
    for _ in range(10):
        assert len(clients.requests(24)) == len(again.requests(24)) == 24
    sent = clients.ledger.sent
    assert sent == again.ledger.sent
    assert 0.2 < 1 - len(sent) / sent.total() < 0.45
    assert len(clients.ledger.repeated) == 5
    assert clients.ledger.valid | clients.ledger.failed == sent.keys()
    assert {event for source, event in sent if source == "web-app"} & {
        event for source, event in sent if source == "car-app"
    }


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers what it hears; returns its port."""
    with closing(socket.create_server((HOST, 0))) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, suppress(ConnectionResetError):
                while data := connection.recv(100):
                    heard.append(data)
                    connection.sendall(data)

        heard: list[bytes] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_the_proxy_forwards_loses_answers_cuts_and_restores(echo: int) -> None:
    with Proxy(echo) as proxy:

        def ask() -> bytes:
            with socket.create_connection((HOST, proxy.port), timeout=10) as connection:
                connection.sendall(b"hello")
                return connection.recv(100)

        assert ask() == b"hello"
        proxy.lose_next_answer()
        with pytest.raises(ConnectionResetError):
            ask()
        assert (ask(), proxy.lost_answers) == (b"hello", 1)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            ask()
        proxy.restore()
        assert ask() == b"hello"
