"""Sends byte streams as they are, many at a time, and keeps what comes back."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from tests.fuzz import limits
from tests.fuzz.streams import Result, Stream

_CONCURRENT = 64
_PATIENCE_SECONDS = 2 * (limits.BODY_SECONDS + limits.HEADER_SECONDS) + 12.0
_SLOW_SECONDS = 0.01


async def send_all(port: int, cases: Sequence[Stream]) -> list[Result]:
    """Send every stream on a connection of its own."""
    gate = asyncio.Semaphore(_CONCURRENT)

    async def one(case: Stream) -> Result:
        async with gate:
            return await _send(port, case)

    return list(await asyncio.gather(*map(one, cases)))


async def _send(port: int, case: Stream) -> Result:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = bytearray()
    reading = asyncio.create_task(_read(reader, received))
    try:
        await _write(writer, case)
        if case.delivery == "reset":
            option = struct.pack("ii", 1, 0)
            with suppress(OSError):  # the server has ended the connection already
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        if case.delivery in {"reset", "abandoned"}:
            return Result(bytes(received), "left")
        return Result(bytes(received), await _end(reading, writer, case))._replace(data=bytes(received))
    finally:
        reading.cancel()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _read(reader: asyncio.StreamReader, received: bytearray) -> Literal["closed", "reset"]:
    try:
        while piece := await reader.read(65536):
            received += piece
    except OSError:
        return "reset"
    return "closed"


async def _write(writer: asyncio.StreamWriter, case: Stream) -> None:
    with suppress(OSError):
        for data in case.writes:
            writer.write(data)
            # The API may have answered and closed without reading on: the answer is what counts.
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await writer.drain()
            await asyncio.sleep(_SLOW_SECONDS if case.delivery == "slow" else 0)


async def _end(
    reading: asyncio.Task[Literal["closed", "reset"]], writer: asyncio.StreamWriter, case: Stream
) -> Literal["closed", "reset", "late"]:
    """Wait for the end: by the last request of a stream, by a client that sends no more, or by the API's timeouts."""
    if case.delivery == "half-closed":
        with suppress(OSError):
            writer.write_eof()
    done, _ = await asyncio.wait({reading}, timeout=_PATIENCE_SECONDS)
    return reading.result() if done else "late"
