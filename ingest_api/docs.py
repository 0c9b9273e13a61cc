"""`/docs` and `/openapi.json`: the API described for people and programs, served by this process alone."""

from __future__ import annotations

from swagger_ui_bundle import swagger_ui_path

from ingest_api import openapi
from ingest_api.rsgi import Request, Response, tidy
from ingest_api.services import Services

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
    "start.js": "text/javascript",
}

_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ingest API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = b"""SwaggerUIBundle({url: "/openapi.json", dom_id: "#ui", deepLinking: true, validatorUrl: null});
"""
# Only this process may be asked; Swagger UI sets styles and images inline.
_POLICY = (
    "content-security-policy",
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
)


async def get_openapi(_request: Request, services: Services) -> Response:
    """Return the OpenAPI document."""
    return Response(openapi.document(services.configuration.api))


async def get_docs(_request: Request, _services: Services) -> Response:
    """Return the page that draws the OpenAPI document."""
    return Response(_PAGE, content_type="text/html; charset=utf-8", headers=(_POLICY,))


async def get_asset(request: Request, _services: Services) -> Response:
    """Return one file of the page; only names in ASSETS have a route."""
    name = tidy(request.scope.path).rpartition("/")[2]
    if name == "start.js":
        return Response(_START, content_type=ASSETS[name])
    return Response(content_type=ASSETS[name], file=str(swagger_ui_path / name))
