"""Rooms: what fits goes in at once, the rest waits in line in order, for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ingest_api.admission import Admission, Room
from ingest_api.outcomes import Outcome, RefusedError
from tests.unit.ingest_api.rsgi_request import Protocol, request, settings

WAIT = 0.05


def _run(test: Callable[[Room], Awaitable[None]], most: int = 10, wait: float = WAIT) -> Room:
    async def run() -> Room:
        room = Room(most, wait, asyncio.get_running_loop())
        await test(room)
        return room

    return asyncio.run(run())


def test_what_fits_is_taken_at_once_and_given_back() -> None:
    async def test(room: Room) -> None:
        assert room.take(4)
        assert room.take(6)
        assert not room.take(1)
        room.give(6)
        assert room.take(5)

    assert _run(test).taken == 9


def test_who_waits_is_served_in_order_and_before_newcomers() -> None:
    async def test(room: Room) -> None:
        assert room.take(10)
        order: list[str] = []

        async def wait(name: str, amount: int) -> None:
            await room.wait(amount)
            order.append(name)

        waiting = [asyncio.create_task(wait(*one)) for one in (("first", 6), ("second", 3))]
        await asyncio.sleep(0)
        assert room.waiting == 2
        room.give(4)
        assert not room.take(1), "nobody overtakes those in line"
        assert order == []
        room.give(6)
        await asyncio.gather(*waiting)
        assert order == ["first", "second"]
        assert (room.taken, room.waiting) == (9, 0)

    _run(test)


def test_who_waits_too_long_is_refused_and_makes_room_for_those_behind() -> None:
    async def test(room: Room) -> None:
        assert room.take(8)
        large = asyncio.create_task(room.wait(5))
        await asyncio.sleep(0.5)
        small = asyncio.create_task(room.wait(2))
        with pytest.raises(RefusedError) as caught:
            await large
        assert caught.value.outcome is Outcome.OVERLOADED
        await small
        assert (room.taken, room.waiting) == (10, 0)

    _run(test, wait=1.0)


def test_no_waiting_means_refused_at_once() -> None:
    async def test(room: Room) -> None:
        assert room.take(10)
        with pytest.raises(RefusedError):
            await room.wait(1)

    assert _run(test, wait=0).taken == 10


def test_who_goes_away_while_waiting_takes_nothing() -> None:
    async def test(room: Room) -> None:
        assert room.take(10)
        waiting = asyncio.create_task(room.wait(1))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        room.give(10)
        assert (room.taken, room.waiting) == (0, 0)

    _run(test)


def test_large_bodies_leave_the_last_quarter_to_the_usual_ones() -> None:
    async def run() -> None:
        admission = Admission(settings(max_in_flight_bytes=1000), asyncio.get_running_loop())
        large, small = request(Protocol(b"")), request(Protocol(b""))
        admission.grow(large, 700, is_large=True)
        with pytest.raises(RefusedError) as caught:
            admission.grow(large, 51, is_large=True)
        assert caught.value.outcome is Outcome.OVERLOADED
        admission.grow(small, 300, is_large=False)
        with pytest.raises(RefusedError):
            admission.grow(small, 1, is_large=False)
        admission.leave(large)
        admission.leave(large)
        assert admission.bytes.taken == 300
        admission.leave(small)
        assert (admission.bytes.taken, admission.requests.taken) == (0, 0)

    asyncio.run(run())


def test_all_connections_together_may_announce_no_more_than_there_is() -> None:
    async def run() -> None:
        api = settings()
        admission = Admission(api, asyncio.get_running_loop())
        assert 8_192 <= admission.at_once_bytes <= api.max_in_flight_bytes // api.max_connections

    asyncio.run(run())
