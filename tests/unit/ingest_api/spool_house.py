"""A spool with a Kafka that takes or refuses what a test says, for the tests of the way between them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from include.contract.kafka_settings import KafkaConnection
from ingest_api.delivery import Delivery
from ingest_api.drainer import Drainer
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.publisher import Headers, Publisher
from ingest_api.settings import Settings
from ingest_api.spool import Spool

MIB = 1024 * 1024


class Kafka:
    """Stands where the publisher does: takes, or refuses with an outcome per value."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.tried: list[bytes] = []
        self.refusals: dict[bytes, Outcome] = {}
        self.everything: Outcome | None = None
        self.unacknowledged_at: float | None = None
        self.headers: list[Headers] = []

    def send(self, key: str | None, value: bytes, headers: Headers) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tried.append(value)
        refusal = self.everything or self.refusals.get(value)
        if refusal:
            if refusal is Outcome.NOT_ACKNOWLEDGED:
                self.unacknowledged_at = time.monotonic()
            answer.set_exception(RefusedError(refusal))
        else:
            self.unacknowledged_at = None
            self.taken.append(value)
            self.headers.append(headers)
            answer.set_result(None)
        return answer


class House:
    def __init__(self, folder: Path, **more: int) -> None:
        self.settings = Settings(kafka=KafkaConnection(), spool_dir=str(folder / "spool"), **more)  # type: ignore[arg-type]
        self.kafka = Kafka()
        self.answers = True
        publisher = cast("Publisher", self.kafka)
        self.spool = Spool(self.settings, asyncio.get_running_loop())
        self.delivery = Delivery(publisher, self.spool, 8 * MIB)
        self.topic_well_at = math.inf
        self.drainer = Drainer(self.spool, publisher, lambda: self.answers, lambda: self.topic_well_at)

    async def store(self, value: bytes) -> str:
        try:
            await self.delivery.store("k", value, [("request_id", "r")])
        except RefusedError as refused:
            return refused.outcome.error
        return "stored"

    async def drain(self) -> None:
        while self.spool.status().waiting_records:
            await self.drainer.turn()


def in_house(folder: Path, use: Callable[[House], Awaitable[None]], **more: int) -> None:
    async def run() -> None:
        house = House(folder, **more)
        await use(house)
        await house.spool.close()

    asyncio.run(run())
