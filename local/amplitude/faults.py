"""Switches that make the next uploads of the Amplitude stand-in fail on purpose, for fault tests."""

from __future__ import annotations

import threading
from typing import Annotated, Literal

import msgspec
from starlette.responses import JSONResponse, Response


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The next `count` uploads answer `status`; with `accept_then_500` they are stored first, as a 500 may be."""

    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 500
    count: Annotated[int, msgspec.Meta(ge=0)] = 1
    mode: Literal["refuse", "accept_then_500"] = "refuse"

    @property
    def accept_first(self) -> bool:
        """Whether the upload is stored before the failure is answered."""
        return self.mode == "accept_then_500"

    def answer(self, events: int) -> Response:
        """Return the failure; a 429 names all `events` indexes as throttled."""
        if self.accept_first:
            return JSONResponse({"code": 500, "error": "Internal error"}, 500)
        body: dict[str, object] = {"code": self.status, "error": f"switched on by a test: {self.status}"}
        if self.status == 429:
            body |= {"eps_threshold": 0, "throttled_devices": {}, "throttled_users": {}}
            body["throttled_events"] = list(range(events))
        return JSONResponse(body, self.status)


class Faults:
    """Holds the fault that is switched on; the last one set wins, `count` 0 switches off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault = Fault(count=0)

    def set(self, fault: Fault) -> None:
        """Replace whatever is switched on."""
        with self._lock:
            self._fault = fault

    def take(self) -> Fault | None:
        """Use up one failure, if any is left."""
        with self._lock:
            if self._fault.count == 0:
                return None
            fault = self._fault
            self._fault = msgspec.structs.replace(fault, count=fault.count - 1)
            return fault

    def left(self) -> int:
        """Return how many uploads will still fail."""
        with self._lock:
            return self._fault.count
