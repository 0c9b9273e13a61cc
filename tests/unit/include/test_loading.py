"""Loads are bounded by files, oldest first, and what is not sealed waits without holding up what is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include import loading, topic
from include.blobs import Suspicion
from include.errors import TerminalError
from include.loading import bounded, load_sealed
from include.manifest import Manifest, StagedFile
from include.plans import Plan
from include.warehouse import Warehouse
from tests.unit.include.fakes import SETTINGS
from tests.unit.include.test_warehouse_load import START, manifest


def with_files(sequence: int, events: int, failed: int) -> Manifest:
    one = manifest(sequence)
    files = [one.files[0]] * events + [one.files[1]] * failed
    return Manifest(one.plan, tuple(files), 0, 0, 0, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30), st.integers(1, 10))
def test_groups_keep_the_order_and_stay_within_the_limit(counts: list[tuple[int, int]], limit: int) -> None:
    manifests = [with_files(number, *count) for number, count in enumerate(counts)]
    groups = list(bounded(manifests, limit))
    assert [one for group in groups for one in group] == manifests
    for group in groups:
        assert group
        assert len(group) <= limit
        for kind in ("events", "failed"):
            assert len(group) == 1 or sum(len(one.names(kind)) for one in group) <= limit


def test_groups_are_as_large_as_they_may_be() -> None:
    assert [len(group) for group in bounded([with_files(number, 2, 1) for number in range(7)], 6)] == [3, 3, 1]


class LakeOfPlans:
    """A lake with plans 1..n, of which some are sealed."""

    def __init__(self, latest: int, sealed: Sequence[int]) -> None:
        self._latest, self._sealed = latest, set(sealed)
        self.altered: set[str] = set()

    def troubles(self, files: Sequence[StagedFile]) -> dict[str, Suspicion]:
        return {file.name: "checksum" for file in files if file.name in self.altered}

    def read(self, sequence: int) -> Plan | None:
        return manifest(sequence).plan if 1 <= sequence <= self._latest else None

    def get(self, name: str, kind: type[Any]) -> Any:
        sequence = int(name.rpartition("/")[2].removesuffix(".json"))
        return manifest(sequence) if kind is Manifest and sequence in self._sealed else None


def test_everything_sealed_and_not_loaded_is_loaded_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[list[int]] = []

    def load(_: Warehouse, manifests: Sequence[Manifest]) -> dict[str, int]:
        loaded.append([one.plan.sequence for one in manifests])
        return {"rows_inserted": len(manifests)}

    monkeypatch.setattr(loading, "load", load)
    monkeypatch.setattr(loading, "missing_sequences", lambda *_: [2, 3, 5, 6, 7])
    monkeypatch.setattr(loading, "sweep_landing", lambda _: 0)
    settings = type(SETTINGS)(sources_file="s", pseudonym_key="00", load_max_files=2)
    lake: Any = LakeOfPlans(7, [2, 5, 6, 7])
    totals = load_sealed(lake, None, settings)  # type: ignore[arg-type]
    assert loaded == [[2, 5], [6, 7]], "plan 3 is not sealed and waits"
    assert totals == {"batches": 4, "rows_inserted": 4}


def test_a_batch_that_cannot_be_loaded_holds_up_no_other_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[list[int]] = []

    def load(_: Warehouse, manifests: Sequence[Manifest]) -> dict[str, int]:
        sequences = [one.plan.sequence for one in manifests]
        if 3 in sequences:
            raise TerminalError("the files of plan 3 are gone")
        loaded.append(sequences)
        return {"rows_inserted": len(manifests)}

    monkeypatch.setattr(loading, "load", load)
    monkeypatch.setattr(loading, "missing_sequences", lambda *_: [2, 3, 4, 5])
    monkeypatch.setattr(loading, "sweep_landing", lambda _: 0)
    settings = type(SETTINGS)(sources_file="s", pseudonym_key="00", load_max_files=2)
    lake: Any = LakeOfPlans(5, [2, 3, 4, 5])
    with pytest.raises(TerminalError, match="1 batches cannot be loaded, all others are: the files of plan 3 are gone"):
        load_sealed(lake, None, settings)  # type: ignore[arg-type]
    assert loaded == [[2], [4, 5]]


def test_a_batch_whose_file_is_not_the_sealed_one_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[int] = []

    def load(_: Warehouse, manifests: Sequence[Manifest]) -> dict[str, int]:
        loaded.extend(one.plan.sequence for one in manifests)
        return {}

    monkeypatch.setattr(loading, "load", load)
    monkeypatch.setattr(loading, "missing_sequences", lambda *_: [1, 2, 3])
    monkeypatch.setattr(loading, "sweep_landing", lambda _: 0)
    lake: Any = LakeOfPlans(3, [1, 2, 3])
    lake.altered = {"events/2.parquet"}
    with pytest.raises(
        TerminalError, match=r"manifest_to_lake .*events/2\.parquet.*docs/runbooks/manifest-to-lake\.md"
    ):
        load_sealed(lake, None, SETTINGS)  # type: ignore[arg-type]
    assert loaded == [1, 3]


def test_a_lake_without_plans_has_nothing_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "sweep_landing", lambda _: 0)
    lake: Any = LakeOfPlans(0, [])
    assert load_sealed(lake, None, SETTINGS) == {"batches": 0}  # type: ignore[arg-type]


@pytest.mark.parametrize(("missing", "last"), [([], 7), ([7], 6), ([4, 6], 3)])
def test_group_offsets_are_committed_up_to_the_first_gap(
    monkeypatch: pytest.MonkeyPatch, missing: list[int], last: int
) -> None:
    committed: list[Any] = []
    monkeypatch.setattr(loading, "missing_sequences", lambda *_: missing)
    monkeypatch.setattr(topic, "commit", lambda *given: committed.append(given))
    read: list[int] = []
    lake: Any = LakeOfPlans(7, [])
    original = lake.read

    def noted(sequence: int) -> Plan | None:
        read.append(sequence)
        return original(sequence)  # type: ignore[no-any-return]

    lake.read = noted
    loading.commit_loaded(lake, None, {}, SETTINGS)  # type: ignore[arg-type]
    assert read[-1] == last or not missing
    assert len(committed) == 1


def test_nothing_is_committed_before_the_first_plan_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "missing_sequences", lambda *_: [1])
    monkeypatch.setattr(topic, "commit", lambda *_: pytest.fail("nothing to commit"))
    lake: Any = LakeOfPlans(7, [])
    assert loading.commit_loaded(lake, None, {}, SETTINGS) == {}  # type: ignore[arg-type]
    assert START.tzinfo is not None
