"""Readiness: every reason listed, and gone once its cause is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import cast

import pytest

from include.contract.sources import WatchedRegistry, hash_key
from include.errors import PipelineError, SetupError, TransientError
from ingest_api.readiness import Readiness
from ingest_api.spool import Spool


class _Topic:
    def __init__(self) -> None:
        self.error: PipelineError | None = None
        self.checked = 0

    def __call__(self) -> None:
        self.checked += 1
        if self.error:
            raise self.error


class _Spool:
    def __init__(self) -> None:
        self.full: str | None = None

    def problem(self) -> str | None:
        return self.full

    def warnings(self) -> list[str]:
        return [self.full] if self.full else []


class _Watched:
    """A readiness over a topic and a sources file that a test can break."""

    def __init__(self, path: Path, spool: _Spool | None = None) -> None:
        self.topic = _Topic()
        self.failed_at: float | None = None
        self.path = path
        self.write({"id": "ios", "name": "iOS", "write_key_sha256": [hash_key("k")]})
        sources = WatchedRegistry(path, interval_seconds=0.0)
        self.readiness = Readiness(self.topic, lambda: self.failed_at, sources, cast("Spool | None", spool), 0.01)

    def answers(self) -> bool:
        return self.readiness.kafka_answers

    def write(self, *entries: object) -> None:
        self.path.write_text(json.dumps({"sources": entries}))


@pytest.fixture
def watched(tmp_path: Path) -> _Watched:
    return _Watched(tmp_path / "sources.json")


def test_not_ready_before_the_first_look(watched: _Watched) -> None:
    assert watched.readiness.reasons() == ["the topic has not been checked yet"]
    watched.readiness.look()
    assert watched.readiness.reasons() == []


@pytest.mark.parametrize("error", [SetupError("topic t is wrong"), TransientError("Kafka is away")])
def test_a_topic_problem_comes_and_goes(watched: _Watched, error: PipelineError) -> None:
    watched.topic.error = error
    watched.readiness.look()
    assert watched.readiness.reasons() == [str(error)]
    watched.topic.error = None
    watched.readiness.look()
    assert watched.readiness.reasons() == []


def test_unacknowledged_records_count_until_kafka_was_seen_well_again(watched: _Watched) -> None:
    watched.readiness.look()
    watched.failed_at = time.monotonic()
    (reason,) = watched.readiness.reasons()
    assert "unacknowledged" in reason
    watched.topic.error = TransientError("away")
    watched.readiness.look()
    assert len(watched.readiness.reasons()) == 2
    watched.topic.error = None
    watched.readiness.look()
    assert watched.readiness.reasons() == []
    watched.failed_at = time.monotonic()
    assert len(watched.readiness.reasons()) == 1
    watched.failed_at = None
    assert watched.readiness.reasons() == []


def test_no_source_is_a_reason_and_one_bad_source_a_warning(watched: _Watched) -> None:
    watched.readiness.look()
    watched.write({"id": "x"})
    (reason,) = watched.readiness.reasons()
    assert reason.startswith("no source can send: source entry 0 is left out")
    watched.write({"id": "x"}, {"id": "web", "name": "Web", "write_key_sha256": [hash_key("w")]})
    assert watched.readiness.reasons() == []
    (warning,) = watched.readiness.warnings()
    assert warning.startswith("source entry 0 is left out")
    watched.write()
    assert watched.readiness.reasons() == ["no source can send: the sources file is empty"]


def test_the_thread_keeps_looking_until_it_is_stopped(watched: _Watched) -> None:
    watched.readiness.start()
    deadline = time.monotonic() + 10
    while watched.topic.checked < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    watched.readiness.stop()
    assert watched.topic.checked >= 3
    assert watched.readiness.reasons() == []


def test_with_a_spool_an_absent_kafka_is_a_warning_until_the_spool_is_full(tmp_path: Path) -> None:
    spool = _Spool()
    watched = _Watched(tmp_path / "sources.json", spool)
    assert watched.readiness.reasons() == ["the topic has not been checked yet"]
    watched.topic.error = TransientError("Kafka is away")
    watched.readiness.look()
    assert watched.answers() is False
    assert watched.readiness.reasons() == []
    assert watched.readiness.warnings() == ["records go to the spool", "Kafka is away"]
    spool.full = "the spool is full"
    assert watched.readiness.reasons() == ["Kafka is away", "the spool is full"]
    watched.topic.error = None
    watched.readiness.look()
    assert watched.answers() is True
    assert watched.readiness.reasons() == []
    assert watched.readiness.warnings() == ["the spool is full"]


def test_with_a_spool_a_topic_that_breaks_the_promise_is_still_a_reason(tmp_path: Path) -> None:
    watched = _Watched(tmp_path / "sources.json", _Spool())
    watched.topic.error = SetupError("topic t is wrong")
    watched.readiness.look()
    assert watched.readiness.reasons() == ["topic t is wrong"]
    assert watched.readiness.kafka_answers, "records are drained all the same"
