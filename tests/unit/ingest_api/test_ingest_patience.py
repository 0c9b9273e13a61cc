"""Patience: a task that awaits its body for too long is cancelled, the others are not."""

from __future__ import annotations

import asyncio

import pytest

from ingest_api.patience import Patience
from tests.unit.ingest_api.rsgi_request import Clock


async def _await(patience: Patience, body: asyncio.Future[None]) -> str:
    task = patience.begin()
    try:
        await body
    except asyncio.CancelledError:
        if not patience.was_late(task):
            raise
        return "late"
    finally:
        patience.end(task)
    return "read"


def test_only_who_is_late_is_ended() -> None:
    async def run() -> None:
        clock, loop = Clock(), asyncio.get_running_loop()
        patience = Patience(0.04, loop, clock)
        bodies = [loop.create_future() for _ in range(3)]
        old = asyncio.create_task(_await(patience, bodies[0]))
        await asyncio.sleep(0)
        clock.now += 0.03
        young = asyncio.create_task(_await(patience, bodies[1]))
        done = asyncio.create_task(_await(patience, bodies[2]))
        await asyncio.sleep(0.03)
        assert not old.done(), "the clock stands"
        bodies[2].set_result(None)
        assert await done == "read"
        clock.now += 0.02
        assert await asyncio.wait_for(old, 1) == "late"
        assert old.cancelling() == 0
        assert not young.done()
        clock.now += 0.03
        assert await asyncio.wait_for(young, 1) == "late"

    asyncio.run(run())


def test_a_body_that_comes_together_with_the_end_of_patience_is_late() -> None:
    async def run() -> None:
        clock, loop = Clock(), asyncio.get_running_loop()
        patience = Patience(0.02, loop, clock)
        body = loop.create_future()
        task = asyncio.create_task(_await(patience, body))
        await asyncio.sleep(0)
        clock.now += 1
        body.set_result(None)
        patience._look()
        assert await task == "late"

    asyncio.run(run())


def test_another_cancellation_is_not_ours_and_the_timer_rests_when_nobody_reads() -> None:
    async def run() -> None:
        patience = Patience(0.02, asyncio.get_running_loop())
        task = asyncio.create_task(_await(patience, asyncio.get_running_loop().create_future()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.03)
        assert patience._timer is None
        assert not patience._since

    asyncio.run(run())
