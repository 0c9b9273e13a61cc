"""Set-up: a step is done once, redone when its inputs change, and never trusted after an interruption."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from include.errors import SetupError
from local.lock import StackLock
from local.paths import ROOT
from local.setup import __main__ as command
from local.setup import checks, environments, install, jars, npm, tools
from local.setup.tools import Step


class Bench(NamedTuple):
    """A step whose installation is counted, and its input."""

    step: Step
    source: Path
    installs: list[str]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(tools, "_STAMPS", tmp_path / "stamps")
    monkeypatch.setattr(tools, "_LOGS", tmp_path / "logs")
    source, folder, installs = tmp_path / "lock", tmp_path / "folder", [""][:0]
    source.write_text("1")

    def install() -> None:
        installs.append(source.read_text())
        if source.read_text() == "bad":
            tools.run("step", [sys.executable, "-c", "print('no such package'); raise SystemExit(3)"])
        folder.mkdir(exist_ok=True)
        (folder / "result").write_text(source.read_text())

    return Bench(Step("step", "A step", (source,), folder, folder / "result", install), source, installs)


def test_step_is_done_until_its_input_changes(bench: Bench) -> None:
    assert not bench.step.is_done()
    bench.step.run()
    assert bench.step.is_done()
    bench.source.write_text("2")
    assert not bench.step.is_done()
    bench.step.run()
    assert bench.installs == ["1", "2"]


def test_step_whose_result_was_deleted_is_not_done(bench: Bench) -> None:
    bench.step.run()
    shutil.rmtree(bench.step.folder)
    assert not bench.step.is_done()


def test_interrupted_step_starts_from_nothing(bench: Bench) -> None:
    bench.source.write_text("bad")
    with pytest.raises(SetupError):
        bench.step.run()
    bench.step.folder.mkdir()
    (bench.step.folder / "half a package").touch()
    assert not bench.step.is_done()
    bench.source.write_text("good")
    bench.step.run()
    assert [entry.name for entry in bench.step.folder.iterdir()] == ["result"]


def test_failed_program_is_reported_with_its_last_lines_and_what_to_do(bench: Bench) -> None:
    bench.source.write_text("bad")
    with pytest.raises(
        SetupError, match=r"exit status 3\) while setting up step[\s\S]*make setup[\s\S]*no such package"
    ):
        bench.step.run()


def test_wrong_python_gets_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    assert command.main() == 1
    assert re.fullmatch(r"Python 3\.11 to 3\.13 is needed and \S+ is 3\.9\.18; .*\n", capsys.readouterr().err)


def test_full_disk_gets_one_sentence(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    step = Step("venv", "", (), bench.step.folder, bench.step.result, bench.step.install)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(9, 9, 1_000_000))
    with pytest.raises(SetupError, match=r"3\.0 GB of disk space are needed in .* and 0\.0 GB are free"):
        checks.require([step])


def test_folder_that_is_not_writable_gets_one_sentence(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(SetupError, match="is not writable"):
        checks.require([bench.step])


def test_every_step_has_its_disk_space_known() -> None:
    steps = [*install._steps(), *install._test_steps()]
    assert {step.name for step in steps} == set(checks._NEEDED_BYTES)


def test_locked_uv_comes_with_its_hashes() -> None:
    requirement = environments.uv_requirement()
    assert re.match(r"uv==\d+\.\d+\.\d+ \\\n", requirement)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", requirement)) > 1
    assert requirement.count("==") == 1


def test_jar_that_is_not_the_locked_one_is_refused_and_removed(tmp_path: Path) -> None:
    jar = tmp_path / "x.jar"
    jar.write_bytes(b"other")
    jars._require_sha256(jar, hashlib.sha256(b"other").hexdigest())
    with pytest.raises(SetupError, match=r"x\.jar is not the file that was locked"):
        jars._require_sha256(jar, hashlib.sha256(b"wanted").hexdigest())
    assert not jar.exists()


def test_locked_jars_are_one_kafka_and_all_have_a_checksum() -> None:
    rows = tomllib.loads(jars.LOCK.read_text())["dependencies"]
    versions = {row["version"] for row in rows if row["groupId"] == "org.apache.kafka"}
    wanted = re.findall(r"org\.apache\.kafka:kafka_2\.13:([\d.]+)", jars.SPEC.read_text())
    # Another coordinate's dependency management can replace kafka-clients by an older one.
    assert versions == set(wanted)
    assert all(re.fullmatch(r"[0-9a-f]{64}", row["sha256"]) for row in rows)


@pytest.mark.parametrize("packages", npm.ALL, ids=lambda packages: packages.name)
def test_locked_packages_are_those_asked_for_and_name_no_registry(packages: npm.Packages) -> None:
    lock = json.loads(packages.lock.read_text())
    wanted = json.loads(packages.spec.read_text())["dependencies"]
    assert lock["packages"][""]["dependencies"] == wanted
    assert {name: lock["packages"][f"node_modules/{name}"]["version"] for name in wanted} == wanted
    rows = [row for name, row in lock["packages"].items() if name]
    assert not [row for row in rows if "resolved" in row]
    assert all(row["integrity"].startswith("sha512-") for row in rows)


def test_running_the_stack_needs_nothing_that_only_tests_need(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[list[str]] = []
    monkeypatch.setattr(Step, "is_done", lambda _step: False)
    monkeypatch.setattr(checks, "require", lambda todo: checked.append([step.name for step in todo]))
    monkeypatch.setattr(install, "_run", lambda _todo: None)
    install.main([])
    install.main(["tests"])
    assert checked[1] == [*checked[0], "sdks"]


def test_sdks_may_come_while_the_stack_runs(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    monkeypatch.setattr(StackLock, "holder", lambda _lock: 4711)
    step = bench.step
    checks.require([Step("sdks", "", (), step.folder, step.result, step.install)])
    with pytest.raises(SetupError, match=r"the stack runs on it \(process 4711\)"):
        checks.require([Step("venv", "", (), step.folder, step.result, step.install)])


def test_every_make_target_is_in_the_help() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())  # type: ignore[index]
    assert set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)) == phony
