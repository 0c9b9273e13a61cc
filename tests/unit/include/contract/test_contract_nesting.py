"""How deep a request may be nested: what the edge takes can be read from within many more calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from include.contract import edge, event, nesting

T = TypeVar("T")
CALLS_OF_A_TASK = 300


def _body(levels: int) -> bytes:
    return b'{"events":[{"event_name":"a","user_id":"u","x":' + b"[" * levels + b"]" * levels + b"}]}"


def _within(calls: int, work: Callable[[], T]) -> T:
    return _within(calls - 1, work) if calls else work()


def test_the_edge_takes_no_more_than_the_drain_can_read() -> None:
    usual = sys.getrecursionlimit()
    try:
        nesting.limit_depth()
        taken = [levels for levels in range(100, 1_000) if not edge.check(_body(levels)).rejected]
    finally:
        sys.setrecursionlimit(usual)
    assert taken == list(range(100, taken[-1] + 1))
    assert taken[-1] >= nesting.MAX_DEPTH
    deepest = _body(taken[-1])
    assert _within(CALLS_OF_A_TASK, lambda: event.parse(deepest)).problems == {}
