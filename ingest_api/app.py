"""The ingest API's contents page: every route and the verb behind it."""

from __future__ import annotations

from include.contract.dialects.segment import BATCH, CALLS
from ingest_api import amplitude, segment
from ingest_api.application import Application, Routes
from ingest_api.docs import ASSETS, get_asset, get_docs, get_openapi
from ingest_api.events import post_events
from ingest_api.health import get_live, get_metrics, get_ready
from ingest_api.side_routes import get_rudder_config, get_segment_settings, post_telemetry
from ingest_api.validate import post_validate

OWN: Routes = {"/v1/events": {"POST": post_events}, "/v1/events:validate": {"POST": post_validate}}
AMPLITUDE: Routes = {
    "/2/httpapi": {"POST": amplitude.post_httpapi},
    "/batch": {"POST": amplitude.post_batch},
    "/identify": {"POST": amplitude.post_identify},
    "/groupidentify": {"POST": amplitude.post_groupidentify},
}
SEGMENT: Routes = {
    **{f"/v1/{name}": {"POST": segment.call(name)} for name in (BATCH, *CALLS)},
    **{f"/v1/{name[0]}": {"POST": segment.call(name)} for name in (BATCH, *CALLS)},
    "/b": {"POST": segment.call("batch")},
    "/beacon/v1/batch": {"POST": segment.call("batch")},
    "/m": {"POST": post_telemetry},
    "/v1/m": {"POST": post_telemetry},
    "/v1/projects/*/settings": {"GET": get_segment_settings},
    "/projects/*/settings": {"GET": get_segment_settings},
    "/sourceConfig": {"GET": get_rudder_config},
}
ABOUT: Routes = {
    "/health/live": {"GET": get_live},
    "/health/ready": {"GET": get_ready},
    "/metrics": {"GET": get_metrics},
    "/openapi.json": {"GET": get_openapi},
    "/docs": {"GET": get_docs},
    **{f"/docs/{name}": {"GET": get_asset} for name in ASSETS},
}

app = Application({**OWN, **AMPLITUDE, **SEGMENT}, ABOUT)
