"""The vendors' routes as the OpenAPI document shows them, with an example of what each SDK sends and hears."""

from __future__ import annotations

from typing import Any

import msgspec

from include.contract.dialects import CALLS_OF
from include.contract.dialects.segment import BATCH, CALLS
from ingest_api.outcomes import Outcome

_AMPLITUDE_EVENT = {
    "event_type": "Order Completed", "user_id": "user-0042", "device_id": "device-0042", "insert_id": "5f0f4f0e",
    "time": 1795341600123, "platform": "iOS", "app_version": "4.12.0", "event_properties": {"total": 12.5},
}  # fmt: skip
_SEGMENT_EVENT = {
    "type": "track", "event": "Order Completed", "userId": "user-0042", "anonymousId": "device-0042",
    "messageId": "5f0f4f0e", "timestamp": "2026-11-22T10:00:00.123Z", "properties": {"total": 12.5},
}  # fmt: skip
_AMPLITUDE_SUMMARY = {
    "code": 200,
    "events_ingested": 1,
    "payload_size_bytes": 301,
    "server_upload_time": 1795341600456,
}
_OBJECT = {"type": "object", "additionalProperties": True}
_SETTINGS = {
    "integrations": {"Segment.io": {"apiKey": "<write key>", "apiHost": "events.example.com/v1"}},
    "metrics": {"sampleRate": 0},
}
_RUDDER = {
    "source": {
        "id": "shop-web",
        "name": "Shop",
        "writeKey": "<write key>",
        "enabled": True,
        "destinations": list[object](),
    }
}
_KEY_IN_URL = {"name": "writeKey", "required": False, "schema": {"type": "string"}}


def paths(refused: dict[str, Any]) -> dict[str, Any]:
    """Return the paths; `refused` are the answers that every route of events has beside 200."""
    return {**_amplitude(refused), **_segment(refused), **_side_routes(refused)}


def said() -> list[dict[str, Any]]:
    """Return what the URL of `/v1/events:validate` may say of the body."""
    calls = ["", *dict.fromkeys(call for names in CALLS_OF.values() for call in names)]
    texts = {
        "dialect": ("Whose body it is", list(CALLS_OF)),
        "call": ("The call of a vendor's dialect; empty means `httpapi` or `batch`", calls),
    }
    return [
        {"name": name, "in": "query", "required": False, "description": text, "schema": _enum(known)}
        for name, (text, known) in texts.items()
    ]


def _enum(known: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": known}


def _amplitude(refused: dict[str, Any]) -> dict[str, Any]:
    events = {"api_key": "<write key>", "events": [_AMPLITUDE_EVENT], "client_upload_time": "2026-11-22T10:00:00.400Z"}
    identify = {
        "api_key": "<write key>",
        "identification": [{"user_id": "user-0042", "user_properties": {"$set": {"plan": "gold"}}}],
    }
    group = {
        "api_key": "<write key>",
        "identification": [
            {"group_type": "company", "group_value": "acme", "group_properties": {"$set": {"seats": 7}}}
        ],
    }
    texts = {
        "/2/httpapi": ("Store what Amplitude's SDKs send (HTTP V2)", "events", events),
        "/batch": ("Store a batch of up to 20 MB (Amplitude's Batch API)", "events", events),
        "/identify": ("Store changes of user properties, each as an event `$identify`", "identification", identify),
        "/groupidentify": (
            "Store changes of group properties, each as an event `$groupidentify`",
            "identification",
            group,
        ),
    }
    summary = _schema({key: {"type": "integer"} for key in _AMPLITUDE_SUMMARY}, _AMPLITUDE_SUMMARY)
    found = {
        path: {"post": _post("Amplitude", text, _body(name, example), summary, refused)}
        for path, (text, name, example) in texts.items()
    }
    for path in ("/identify", "/groupidentify"):
        _, name, example = texts[path]
        found[path]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"] = _form(name, example)
    return found


def _form(list_name: str, example: dict[str, Any]) -> dict[str, Any]:
    """Describe the form that Amplitude's documentation shows: the key, and the list as JSON."""
    fields = {"api_key": example["api_key"], list_name: msgspec.json.encode(example[list_name]).decode()}
    schema = _schema({name: {"type": "string"} for name in fields}, fields)
    return {"schema": {**schema, "required": [list_name]}, "example": fields}


def _segment(refused: dict[str, Any]) -> dict[str, Any]:
    answer = {"description": "Segment's SDKs hear an object, RudderStack's the text OK", "example": {"success": True}}
    security: list[dict[str, Any]] = [{"basic": []}]
    batch = {"batch": [_SEGMENT_EVENT], "sentAt": "2026-11-22T10:00:00.400Z"}
    found: dict[str, Any] = {}
    for name in (BATCH, *CALLS):
        text = "Store a batch of calls" if name == "batch" else f"Store one `{name}` call"
        body = _body("batch", batch) if name == "batch" else _json(_OBJECT, {**_SEGMENT_EVENT, "type": name})
        for path in (f"/v1/{name}", f"/v1/{name[0]}", *(("/b", "/beacon/v1/batch") if name == "batch" else ())):
            post = _post("Segment and RudderStack", text, body, answer, refused)
            found[path] = {"post": {**post, "security": [*security, {}]}}
    found["/beacon/v1/batch"]["post"]["parameters"] = [{**_KEY_IN_URL, "in": "query"}]
    return found


def _side_routes(refused: dict[str, Any]) -> dict[str, Any]:
    tag = "Segment and RudderStack"
    path_key = [{**_KEY_IN_URL, "in": "path", "required": True}]
    method = {"405": refused["405"]}
    settings = _get(tag, "Settings of Segment's SDKs: they are told to send here", path_key, _SETTINGS, method)
    source = _get(tag, "Configuration of RudderStack's SDKs", [{**_KEY_IN_URL, "in": "query"}], _RUDDER, refused)
    without_key = {status: answer for status, answer in refused.items() if status not in {"401", "403"}}
    about = "Take an SDK's measurements of itself and forget them"
    done = _schema({"success": {"type": "boolean"}}, {"success": True})
    telemetry = {**_post(tag, about, _json(_OBJECT, {}), done, without_key), "security": list[object]()}
    telemetry["responses"]["200"]["description"] = "Read and forgotten; no event is among them, and no key is needed"
    return {
        "/v1/projects/{writeKey}/settings": {"get": settings},
        "/projects/{writeKey}/settings": {"get": settings},
        "/sourceConfig": {"get": {**source, "security": [{"basic": []}, {}]}},
        "/m": {"post": telemetry},
        "/v1/m": {"post": telemetry},
    }


def _post(tag: str, summary: str, body: dict[str, Any], answer: dict[str, Any], refused: dict[str, Any]) -> Any:  # noqa: ANN401
    return {
        "summary": summary,
        "tags": [tag],
        "requestBody": body,
        "responses": {"200": _answer(Outcome.ACCEPTED.meaning, answer), **refused},
    }


def _get(
    tag: str, summary: str, parameters: list[dict[str, Any]], example: dict[str, Any], refused: dict[str, Any]
) -> dict[str, Any]:
    answers = {"200": _answer(summary, {**_OBJECT, "example": example}), **refused}
    return {"summary": summary, "tags": [tag], "parameters": parameters, "responses": answers}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(list_name: str, example: dict[str, Any]) -> dict[str, Any]:
    events = {"type": "array", "minItems": 1, "items": _OBJECT}
    return _json({**_schema({list_name: events}, example), "required": [list_name]}, example)


def _json(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _schema(properties: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": True, "example": example}
