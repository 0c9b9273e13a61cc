"""Knows whether a 200 can be promised right now, by checking topic, publisher, spool and sources."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from include.contract.sources import WatchedRegistry
from include.errors import PipelineError, TransientError
from ingest_api.spool import Spool

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5
_NOT_YET = "the topic has not been checked yet"
_UNACKNOWLEDGED = "Kafka leaves records unacknowledged; look at its brokers and at the replicas in sync"


class Readiness:
    """Holds the reasons that keep the API from being ready; an empty list means ready.

    `check_topic` raises a PipelineError when the topic is not as needed; it may block, so it runs on a thread of its
    own. `unacknowledged_at` is the monotonic time of the latest record that Kafka did not acknowledge since it last
    acknowledged one, else None. With a spool that takes records, Kafka's absence is a warning only.
    """

    def __init__(
        self,
        check_topic: Callable[[], object],
        unacknowledged_at: Callable[[], float | None],
        sources: WatchedRegistry,
        spool: Spool | None,
        interval_seconds: float,
    ) -> None:
        self._check_topic = check_topic
        self._unacknowledged_at = unacknowledged_at
        self._sources = sources
        self._spool = spool
        self._interval = interval_seconds
        self._topic_problem: str | None = _NOT_YET
        self.kafka_answers = False
        """Whether the latest check had an answer, good or bad."""
        self.topic_well_at = 0.0
        """When the latest check began that found the topic as it must be (monotonic seconds)."""
        self._stop = threading.Event()
        # A daemon, so that a check that hangs on a dead broker does not delay the end of the process.
        self._thread = threading.Thread(target=self._watch, name="topic-check", daemon=True)

    def start(self) -> None:
        """Begin to check the topic: often while something is wrong, else at the interval."""
        self._thread.start()

    def stop(self) -> None:
        """Let the checking end."""
        self._stop.set()

    def reasons(self) -> list[str]:
        """Say what is wrong, each with what to do."""
        found = [self._topic_problem] if self._topic_problem and not self._is_away() else []
        if (away := self._away()) and (self._spool is None or self._spool.problem()):
            found += [*away, *(self._spool.warnings() if self._spool else [])]
        registry = self._sources.current()
        if registry is None or not registry.sources:
            found.append("no source can send: " + "; ".join(self._sources.problems() or ["the sources file is empty"]))
        return found

    def warnings(self) -> list[str]:
        """Say what is wrong without keeping the API from being ready, such as one bad source entry."""
        registry = self._sources.current()
        found = self._sources.problems() if registry is not None and registry.sources else []
        if self._spool:
            found = [*found, *self._spool.warnings()]
            if (away := self._away()) and not self._spool.problem():
                found += ["records go to the spool", *away]
        return found

    def look(self) -> None:
        """Check the topic once."""
        started_at = time.monotonic()
        problem: str | None = None
        answers = True
        try:
            self._check_topic()
        except PipelineError as error:
            problem, answers = str(error), not isinstance(error, TransientError)
        else:
            self.topic_well_at = started_at
        self.kafka_answers = answers
        if problem != self._topic_problem:
            log.info("topic_checked", extra={"problem": problem or "none"})
        self._topic_problem = problem

    def _is_away(self) -> bool:
        return not self.kafka_answers and self._topic_problem != _NOT_YET

    def _away(self) -> list[str]:
        """Say how it shows that Kafka is away."""
        found = [self._topic_problem] if self._topic_problem and self._is_away() else []
        failed_at = self._unacknowledged_at()
        if failed_at is not None and failed_at > self.topic_well_at:
            found.append(_UNACKNOWLEDGED)
        return found

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(_RETRY_SECONDS if self._topic_problem else self._interval)
