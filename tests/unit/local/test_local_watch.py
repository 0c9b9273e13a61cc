"""What the watch does, as an ordered list of effects, with a process manager held by the test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from local.control import Control, Program, log_file
from local.parts import Part
from local.watch import PartDiedError, Watch


class RecordingControl:
    """Starts programs on paper."""

    def __init__(self, names: list[str]) -> None:
        self.effects: list[str] = []
        # A process id beyond every kernel's limit: a signal to its group reaches nobody.
        self._rows = {name: Program(name, "STOPPED", 0, 0) for name in names}

    def start(self, name: str) -> None:
        self.effects.append(f"start {name}")
        self._rows[name] = Program(name, "RUNNING", 2**22 + len(self.effects), 0)

    def exits(self, name: str, status: int) -> None:
        self._rows[name] = replace(self._rows[name], state="EXITED", exit_status=status)

    def programs(self) -> dict[str, Program]:
        return dict(self._rows)


class Bench:
    """A watch over `step` → `base` → `top`, whose probes answer what the test says."""

    def __init__(self, state: Path, restart_limit: int = 1) -> None:
        self.serving: set[str] = set()
        self.lines: list[str] = []
        parts = [
            Part("step", ("true",)),
            Part("base", ("true",), needs=("step",), probe=lambda _started: "base" in self.serving),
            Part("top", ("true",), after=("base",), probe=lambda _started: "top" in self.serving),
        ]
        self.control = RecordingControl([part.name for part in parts])
        control = cast("Control", self.control)
        self.watch = Watch(state, control, {part.name: part for part in parts}, {}, restart_limit, self.lines.append)

    def bring_up(self) -> None:
        self.watch.tick()
        self.control.exits("step", 0)
        self.serving = {"base", "top"}
        while not self.watch.is_settled():
            self.watch.tick()
        self.control.effects.clear()
        self.lines.clear()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_parts_start_when_what_they_wait_for_serves(bench: Bench) -> None:
    bench.watch.tick()
    bench.watch.tick()
    assert bench.control.effects == ["start step"]
    bench.control.exits("step", 0)
    bench.watch.tick()
    bench.watch.tick()
    assert bench.control.effects == ["start step", "start base"]
    assert not bench.watch.is_settled()
    bench.serving.add("base")
    bench.watch.tick()
    bench.watch.tick()
    assert bench.control.effects == ["start step", "start base", "start top"]
    bench.serving.add("top")
    bench.watch.tick()
    assert bench.watch.is_settled()


def test_failed_step_ends_the_start_with_its_last_lines(bench: Bench, tmp_path: Path) -> None:
    log = log_file(tmp_path, "step")
    log.parent.mkdir()
    log.write_text("of an earlier start\n")
    bench.watch.tick()
    with log.open("a") as stream:
        stream.write("no such topic\n")
    bench.control.exits("step", 3)
    with pytest.raises(PartDiedError, match=r"step ended unexpectedly \(exit status 3\)") as caught:
        bench.watch.tick()
    assert "no such topic" in str(caught.value)
    assert "earlier" not in str(caught.value)


def test_dead_part_is_started_again_until_its_restarts_are_used_up(bench: Bench) -> None:
    bench.bring_up()
    bench.control.exits("base", -1)
    bench.watch.tick()
    assert bench.control.effects == ["start base"]
    assert bench.watch.statuses["base"].restarts == 1
    assert "base ended unexpectedly (killed by a signal)" in bench.lines[0]
    assert bench.lines[0].endswith("base is started again (1 of 1 times).")
    bench.watch.tick()
    assert bench.watch.is_settled()
    bench.control.exits("base", 1)
    with pytest.raises(PartDiedError, match=r"base ended unexpectedly \(exit status 1\)"):
        bench.watch.tick()
    assert bench.watch.statuses["base"].state == "dead"


def test_part_that_was_stopped_on_purpose_stays_away(bench: Bench) -> None:
    bench.bring_up()
    bench.watch.change("base", state="stopped")
    bench.control.exits("base", 0)
    bench.watch.tick()
    assert bench.control.effects == []
    assert bench.watch.is_settled()


def test_part_that_never_serves_is_given_up(bench: Bench) -> None:
    bench.bring_up()
    bench.watch.change("top", state="starting", started_at=1.0)
    bench.serving.discard("top")
    with pytest.raises(PartDiedError, match="top does not serve after"):
        bench.watch.tick()
