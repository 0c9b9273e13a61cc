"""The ingest API's contents page: every route and the verb behind it."""

from __future__ import annotations

from ingest_api.application import Application
from ingest_api.docs import ASSETS, get_asset, get_docs, get_openapi
from ingest_api.events import post_events
from ingest_api.health import get_live, get_metrics, get_ready

app = Application(
    {
        "/v1/events": {"POST": post_events},
        "/health/live": {"GET": get_live},
        "/health/ready": {"GET": get_ready},
        "/metrics": {"GET": get_metrics},
        "/openapi.json": {"GET": get_openapi},
        "/docs": {"GET": get_docs},
        **{f"/docs/{name}": {"GET": get_asset} for name in ASSETS},
    }
)
