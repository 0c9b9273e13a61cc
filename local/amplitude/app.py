"""The Amplitude stand-in as one HTTP application: this file is its table of contents."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from local.amplitude.export import Exports
from local.amplitude.faults import Faults
from local.amplitude.importer import Importer, Source
from local.amplitude.limits import RateLimits
from local.amplitude.readback import Readback
from local.amplitude.settings import AmplitudeSettings
from local.amplitude.store import Store
from local.amplitude.uploads import BATCH, HTTP_V2, Uploads
from local.amplitude.warehouse import View


def create_app(
    settings: AmplitudeSettings,
    clock: Callable[[], float] = time.time,
    connect: Callable[[], Source] | None = None,
) -> Starlette:
    """Build the application; `clock` is the server's wall clock, `connect` opens the importer's warehouse."""
    store, faults = Store(Path(settings.dir), clock), Faults()
    connect = connect or partial(View, settings.snowflake, settings.cursor)
    importer = Importer(store, connect, settings.import_seconds)
    uploads = Uploads(store, RateLimits(clock), faults, settings.api_key)
    exports = Exports(store, clock, settings.api_key, settings.secret_key, settings.export_delay_seconds)
    readback = Readback(store, importer, faults)

    routes = [
        Route(HTTP_V2.path, partial(uploads.receive, HTTP_V2), methods=["POST"]),
        Route(BATCH.path, partial(uploads.receive, BATCH), methods=["POST"]),
        Route("/api/2/export", exports.receive),
        Route("/health", readback.health),
        Route("/_standin/stats", readback.stats),
        Route("/_standin/events", readback.events),
        Route("/_standin/insert_ids", readback.insert_ids),
        Route("/_standin/fail", readback.fail, methods=["POST"]),
        Route("/_standin/poll", readback.poll, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=_lifespan(store, importer))


def _lifespan(store: Store, importer: Importer) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        importer.start()
        yield
        importer.stop()
        store.close()

    return lifespan
