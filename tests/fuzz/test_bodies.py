"""Generated bodies against a running API: no fault, no false 200, no false 400, whatever comes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz import bodies, limits, promises
from tests.fuzz.bodies import Sent
from tests.fuzz.dialects import DIALECTS
from tests.fuzz.topic_tail import TopicTail
from tests.fuzz.watched_api import WatchedApi
from tests.fuzz.wire import Wire

_LONG = pytest.param(2_500, 0, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])
_SLOWEST_SECONDS = 6.0


@pytest.fixture
def wire(api: WatchedApi) -> Iterator[Wire]:
    wire = Wire(api.port)
    yield wire
    wire.close()


def _one(wire: Wire, tail: TopicTail, sent: Sent) -> int:
    began = time.monotonic()
    answer = wire.exchange(sent.on_wire())
    assert time.monotonic() - began < _SLOWEST_SECONDS
    assert answer.headers["content-type"] == "application/json"
    if answer.status != 200:
        promises.refusal(answer)
        promises.never_refused_when_right(sent, answer)
        promises.known(sent, answer, [])
        return answer.status
    records = tail.take(answer.request_id)
    promises.acceptance(sent, answer, records)
    promises.known(sent, answer, records)
    return answer.status


@pytest.mark.parametrize(("cases", "fixed_seed"), [(40, 1), _LONG])
@pytest.mark.parametrize("name", DIALECTS)
def test_generated_bodies(api: WatchedApi, wire: Wire, tail: TopicTail, name: str, cases: int, fixed_seed: int) -> None:
    dialect = DIALECTS[name]
    chosen, seen = limits.seed(fixed_seed), Counter[int]()
    print(f"FUZZ_SEED={chosen}")  # noqa: T201 - to run a failure again

    @seed(chosen)
    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck),
              phases=[Phase.generate, Phase.shrink], print_blob=True)  # fmt: skip
    @given(bodies.requests(dialect))
    def run(requests: list[Sent]) -> None:
        for sent in requests:
            seen[_one(wire, tail, sent)] += 1

    run()
    print(f"{seen.total()} requests: {dict(seen)}")  # noqa: T201
    assert seen[200] > seen.total() / 10, seen
    assert seen[400] > seen.total() / 50, seen
    assert tail.take_all() == {}, "records of requests that were not answered 200"
    api.assert_well()
