"""What Amplitude does not offer and tests need: read back by id, counters, switches; all below `/_standin`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from local.amplitude.faults import Fault, Faults
from local.amplitude.importer import Importer
from local.amplitude.store import Store

LINES_PER_CHUNK = 2_000
COUNTER_GROUPS = ("events", "duplicates", "rejected", "refused", "reread")


@dataclass(frozen=True, slots=True)
class Readback:
    """Shows what the stand-in holds."""

    store: Store
    importer: Importer
    faults: Faults

    async def health(self, _: Request) -> Response:
        """Say that the server answers and its database can be read."""
        await run_in_threadpool(self.store.last_row)
        return JSONResponse({"status": "ok"})

    async def stats(self, _: Request) -> Response:
        """Show counts, refusals by reason, and the importer's state."""
        return JSONResponse(await run_in_threadpool(self._stats))

    async def events(self, request: Request) -> Response:
        """List the stored events of the insert ids asked for."""
        wanted = request.query_params.getlist("insert_id")
        if not wanted:
            return JSONResponse({"error": "ask with ?insert_id=..., which may be repeated"}, 400)
        found = await run_in_threadpool(lambda: [one for insert_id in wanted for one in self.store.find(insert_id)])
        return JSONResponse([one._asdict() for one in found])

    async def insert_ids(self, request: Request) -> Response:
        """Stream all insert ids, one per line; `since_row` leaves out what an earlier call has seen.

        The header `x-last-row` is the value to pass next time.
        """
        since = request.query_params.get("since_row", "0")
        if not since.isdecimal():
            return JSONResponse({"error": "since_row must be the number of a row"}, 400)
        last_row = await run_in_threadpool(self.store.last_row)
        lines = self._lines(int(since), last_row)
        return StreamingResponse(lines, media_type="text/plain", headers={"x-last-row": str(last_row)})

    async def fail(self, request: Request) -> Response:
        """Make the next uploads fail."""
        try:
            fault = msgspec.json.decode(await request.body(), type=Fault)
        except msgspec.DecodeError as error:
            return JSONResponse({"error": str(error)}, 400)
        self.faults.set(fault)
        return JSONResponse(msgspec.to_builtins(fault))

    async def poll(self, _: Request) -> Response:
        """Let the importer poll now instead of at its next tick, and show its state."""
        await run_in_threadpool(self.importer.poll)
        return JSONResponse(await run_in_threadpool(self.importer.state))

    def _stats(self) -> dict[str, Any]:
        groups: dict[str, dict[str, int]] = {name: {} for name in COUNTER_GROUPS}
        for name, value in self.store.counters().items():
            group, _, rest = name.partition(":")
            groups[group][rest] = value
        return {
            "events": sum(groups["events"].values()), "events_by_way": groups["events"],
            "duplicates": sum(groups["duplicates"].values()), "duplicates_by_way": groups["duplicates"],
            "rejected_rows": groups["rejected"], "refused_requests": groups["refused"],
            "reread_rows": groups["reread"].get("import", 0), "last_row": self.store.last_row(),
            "faults_left": self.faults.left(), "importer": self.importer.state(),
        }  # fmt: skip

    def _lines(self, since_row: int, last_row: int) -> Iterator[str]:
        lines: list[str] = []
        for row, insert_id in self.store.insert_ids(since_row):
            if row > last_row:
                break
            lines.append(insert_id + "\n")
            if len(lines) == LINES_PER_CHUNK:
                yield "".join(lines)
                lines.clear()
        yield "".join(lines)
