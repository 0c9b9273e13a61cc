"""The kill audit: bounded in `make test`, at full size in `make faults`."""

from __future__ import annotations

import secrets
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.faults import audit_report
from tests.faults.audit_found import BOUNDED, Found, Size
from tests.faults.audit_strikes import KINDS, schedule
from tests.faults.kill_audit import Audit, prepared
from tests.quiet_imports import import_great_expectations

pytestmark = pytest.mark.filterwarnings("ignore:module .sre_\\w+. is deprecated:DeprecationWarning")


@pytest.fixture(scope="session")
def gx() -> None:
    import_great_expectations()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that goes at once: pytest would keep a million events of the last three runs."""
    with tempfile.TemporaryDirectory(prefix="kill-audit-") as made:
        yield Path(made)


def test_a_schedule_is_repeatable_and_has_everything() -> None:
    strikes = list(islice(schedule(7), 400))
    assert strikes == list(islice(schedule(7), 400))
    assert strikes != list(islice(schedule(8), 400))
    assert Counter(strike.kind for strike in strikes).keys() == KINDS.keys()
    assert any(strike.again_seconds for strike in strikes)
    assert {strike.thawed for strike in strikes if strike.frozen_seconds} == {True, False}
    assert {strike.settles for strike in strikes} == {True, False}


def _require_work(found: Found, size: Size) -> None:
    """The audit says something only when there was something to lose."""
    assert found.tally.strikes >= size.strikes
    assert sum(counts.acknowledged_events for counts in found.bulk.values()) >= size.events
    assert all(one.delivered for one in found.sdks.values())
    assert all(counts.repeated for counts in found.bulk.values())
    assert all(counts.given_up == 0 for counts in found.bulk.values())
    assert found.topic.spooled
    assert found.errors().total(), "nobody noticed the strikes"
    assert len(found.ledgers) == size.bulk_clients + len(size.sdks)


@pytest.mark.timeout(600)
def test_a_few_strikes_lose_nothing_and_the_auditor_would_see_it(folder: Path, gx: None) -> None:
    with prepared(BOUNDED, 20_261_123, folder) as audit:
        found = audit.run()
        audit.judge()
        assert found.all_problems() == []
        _require_work(found, BOUNDED)
        report = audit_report.markdown(found, BOUNDED)
        assert "Nothing is lost and nothing is there twice." in report
        _spoil(audit, found)
        assert "| of them not in `EVENTS` | **1** |" in audit_report.markdown(found, BOUNDED)


def _spoil(audit: Audit, found: Found) -> None:
    """Lose a row, double one and slip one in: the auditor, reading the warehouse itself, names each of them."""
    first, second, third = sorted(found.ledgers["bulk-0"].acknowledged)[:3]
    place = "SOURCE_ID = '{}' AND EVENT_ID = '{}'"
    with audit.pipe.warehouse() as warehouse:
        columns = [str(row[0]) for row in warehouse.run("DESCRIBE TABLE CORE.EVENTS")]
        names = ", ".join(columns)
        foreign = ", ".join("'stranger'" if name == "EVENT_ID" else name for name in columns)
        copy = f"INSERT INTO CORE.EVENTS ({names}) SELECT {{}} FROM CORE.EVENTS WHERE {{}}"  # noqa: S608
        warehouse.run(copy.format(names, place.format(*second)))
        warehouse.run(copy.format(foreign, place.format(*third)))
        warehouse.run(f"DELETE FROM CORE.EVENTS WHERE {place.format(*first)}")  # noqa: S608
    stranger = (third[0], "stranger")
    verdict = audit.judge()
    assert {client: ids for client, ids in verdict.lost.items() if ids} == {"bulk-0": {first}}
    assert (verdict.twice, verdict.foreign) == ({second}, {stranger})
    assert (verdict.not_loaded, verdict.from_nowhere) == ({first}, {stranger})
    assert len(found.all_problems()) == 5


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_two_hundred_strikes_and_a_million_events(folder: Path, gx: None) -> None:
    size = Size()
    with prepared(size, secrets.randbelow(1_000_000), folder) as audit:
        found = audit.run()
        audit.judge()
    assert found.all_problems() == [], audit_report.markdown(found, size)
    _require_work(found, size)
