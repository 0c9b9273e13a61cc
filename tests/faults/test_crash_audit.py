"""The crash audit: bounded in `make test`, at full size in `make faults`, and proof that its auditor can fail."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import crash_report
from tests.faults.crash_audit import Audit, prepared
from tests.faults.crash_found import BOUNDED, Size

END = "after the step, before its result is told"
NAMED = {
    "plan": ("before write of the plan", "after write of the plan", END),
    "drain": (
        "amid the records of a range", "after block of the events file", "before commit of the events file",
        "after commit of the events file", "before commit of the failed events file", "before write of the part",
        "after write of the part",
    ),
    "seal": ("after write of the quality document", "before write of the manifest", "after write of the manifest", END),
    "load": (
        "before COPY of files", "after COPY of files", "after MERGE into EVENTS", "after MERGE into FAILED_EVENTS",
        "after writing LOADS", "after writing OUTBOX", "before COMMIT", "after COMMIT", "before dropping EVENTS",
        "after dropping EVENTS", END,
    ),
    "commit_offsets": ("before commit of the group's offsets", "after commit of the group's offsets"),
    "offer": ("after offering events", "after writing DELIVERIES", "after advancing the watermark", "after COMMIT"),
    "push": ("before post to the vendor", "after post to the vendor", "after marking taken"),
    "repair": ("before write of the part", "before write of the manifest", "after COMMIT"),
}  # fmt: skip
"""Boundaries that an audit of full size must have crashed at, whatever else there is."""
PLACE = "SOURCE_ID = '{}' AND EVENT_ID = '{}'"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="crash-audit-") as made:
        yield Path(made)


def _audited(audit: Audit) -> list[str]:
    audit.run()
    audit.repeat()
    return audit.judge()


def _require_work(audit: Audit) -> None:
    """The audit says something only when there was something to lose."""
    found = audit.found
    assert found.tally.crashed >= audit.size.crashes
    assert found.threads in ([], ["jemalloc_bg_thd"]), "a fork keeps no other thread"
    assert 0.2 < found.repeated_share < 0.45
    assert found.ledger.failed
    assert len(found.ledger.consented) < len(found.ledger.valid)
    assert all(hop.expected for hop in found.hops)
    assert all(one.twin for one in found.compared)


@pytest.mark.timeout(600)
def test_a_few_crashes_lose_and_double_nothing_and_the_auditor_would_see_it(folder: Path) -> None:
    with prepared(BOUNDED, 20_261_123, folder) as audit:
        assert _audited(audit) == []
        _require_work(audit)
        assert "the twin is equal row by row" in crash_report.markdown(audit.found)
        _spoil(audit)


def _spoil(audit: Audit) -> None:
    """Lose a row, double one, alter one, and hide a manifest: the auditor, reading by itself, names each of them."""
    lost, doubled, altered = sorted(audit.found.ledger.valid)[:3]
    pipe = audit.world.audited.pipe
    with pipe.warehouse() as warehouse:
        names = ", ".join(str(row[0]) for row in warehouse.run("DESCRIBE TABLE CORE.EVENTS"))
        warehouse.run(
            f"INSERT INTO CORE.EVENTS ({names}) SELECT {names} FROM CORE.EVENTS WHERE {PLACE.format(*doubled)}"  # noqa: S608
        )
        warehouse.run(f"UPDATE CORE.EVENTS SET LOCALE = 'xx' WHERE {PLACE.format(*altered)}")  # noqa: S608
        warehouse.run(f"DELETE FROM CORE.EVENTS WHERE {PLACE.format(*lost)}")  # noqa: S608
        warehouse.run("DELETE FROM CONTROL.LOADS WHERE SEQUENCE = 1")
    pipe.container.delete_blob(f"manifests/{pipe.topic}/0000000001.json")
    problems = audit.judge()
    hops = {hop.name: hop for hop in audit.found.hops}
    assert set(hops["clients to EVENTS"].missing) == {lost}
    assert set(hops["clients to EVENTS"].twice) == {doubled}
    assert hops["Kafka to the sealed files, repetitions counted"].missing
    assert set(hops["plans to the manifests"].missing) == set(hops["plans to LOADS"].missing) == {1}
    tables = {one.name: one for one in audit.found.compared}
    assert len(list(tables["CORE.EVENTS"].problems())) == 2
    assert (tables["CORE.EVENTS"].audited - tables["CORE.EVENTS"].twin).total() == 2
    assert (tables["CORE.EVENTS"].twin - tables["CORE.EVENTS"].audited).total() == 2
    for name in ("CONTROL.LOADS", "the lake, byte by byte"):
        assert any(problem.startswith(f"{name}: 1 only in the twin") for problem in problems)
    assert "**clients to EVENTS: 1 missing" in crash_report.markdown(audit.found)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_five_hundred_crashes_at_every_boundary(folder: Path) -> None:
    with prepared(Size(), secrets.randbelow(1_000_000), folder) as audit:
        problems = _audited(audit)
        report = crash_report.markdown(audit.found)
        assert problems == [], report
        _require_work(audit)
        assert audit.found.tally.untouched() == [], report
        crashed = set(audit.found.tally.crashes)
        assert {(step, name) for step, names in NAMED.items() for name in names} <= crashed, report
