"""A TCP proxy before one part: it cuts, delays, or forwards a request and loses its answer, for the crash audit."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
_CHUNK = 65_536


class Proxy:
    """Listens on `port` and forwards to `target` in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.lost_answers = 0
        self._delay = 0.0
        self._is_away = self._loses_answer = False
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset every connection and refuse new ones until `restore`."""
        self._is_away = True
        self._do(self._reset())

    def delay(self, seconds: float) -> None:
        """Hold every piece of data for so long, until `restore`."""
        self._delay = seconds

    def lose_next_answer(self) -> None:
        """Let the next request arrive, then reset its connection in place of the answer."""
        self._loses_answer = True

    def restore(self) -> None:
        """Be a plain proxy again."""
        self._delay, self._is_away, self._loses_answer = 0.0, False, False

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _reset(self) -> None:
        for writer in list(self._open):
            _break_off(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._is_away:
                raise ConnectionAbortedError
            there, back = await asyncio.open_connection(HOST, self.target)
        except OSError:
            _break_off(writer)
            return
        self._open |= {writer, back}
        try:
            await asyncio.gather(self._pump(reader, back, is_answer=False), self._pump(there, writer, is_answer=True))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open -= {writer, back}
            for end in (writer, back):
                _break_off(end)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        while data := await reader.read(_CHUNK):
            if self._delay:
                await asyncio.sleep(self._delay)
            if is_answer and self._loses_answer:
                self._loses_answer = False
                self.lost_answers += 1
                raise ConnectionAbortedError
            writer.write(data)
            await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.write_eof()


def _break_off(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a broken network does: with a reset instead of an end."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
