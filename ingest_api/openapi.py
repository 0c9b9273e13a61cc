"""Builds the OpenAPI document from the table of outcomes and the settings, so that neither can drift from it."""

from __future__ import annotations

from typing import Any

import msgspec

from include.contract.dialects import CALLS_OF
from ingest_api import openapi_dialects
from ingest_api.outcomes import Outcome
from ingest_api.settings import Settings

_TIME = {"type": "string", "format": "date-time"}
_OBJECT = {"type": "object", "additionalProperties": True}
_TEXT_FIELDS = (
    "session_id platform app_version os_name os_version device_model locale country library_name library_version"
)
_EVENT_EXAMPLE = {
    "event_id": "0b6cfd5e-7f2a-4f2b-9a35-3f2f3a1f6c11",
    "event_name": "screen_viewed",
    "occurred_at": "2026-11-22T10:00:00.000Z",
    "device_id": "d-1f6c11",
    "user_id": "u-42",
    "platform": "ios",
    "app_version": "4.12.0",
    "consent": {"analytics": True},
    "event_properties": {"screen": "vehicle_status"},
}
_READY = {"status": "ready", "reasons": list[str](), "warnings": list[str]()}
_NOT_READY = {**_READY, "status": "not ready", "reasons": ["no source can send: the sources file is empty"]}
_METRICS = 'ingest_requests_total{dialect="v1",outcome="accepted",source_id="web-app"} 50.0\n'
_STORED = "A bad event does not cost its neighbours: it is stored too, and named in `quarantined`."
_FORESEEN = (
    "Takes the body of `/v1/events` and of every route of Amplitude, Segment and RudderStack, with the headers that go "
    "with it; the write key comes in the header `Authorization`. Say with `dialect` and `call` what it is: without "
    "them that is guessed, and `assumed` is true in the answer. Each reason begins with the field, or with what "
    "COLUMN_NAME of FAILED_EVENTS calls it."
)
_REFUSALS = [outcome for outcome in Outcome if outcome is not Outcome.ACCEPTED]


def document(api: Settings) -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(
        {
            "openapi": "3.0.3",
            "info": {"title": "Ingest API", "version": "1", "description": _description(api)},
            "paths": {
                "/v1/events": {"post": _post_events("Store a batch of events", "postEvents", "Accepted", _STORED)},
                "/v1/events:validate": {"post": _post_validate()},
                **openapi_dialects.paths(_refused()),
                "/health/live": {"get": _get("The process runs", {"status": "live"})},
                "/health/ready": {"get": _ready()},
                "/metrics": {"get": _get("Metrics in Prometheus' text format", _METRICS, "text/plain")},
            },
            "components": {"schemas": _schemas(api), "securitySchemes": _security()},
        }
    )


def _description(api: Settings) -> str:
    return (
        "Takes batches of events. **200 means durable**: Kafka has acknowledged every event, or they are on disk and "
        "go to Kafka when it is back. On any other answer send the same bytes again, unless the answer says otherwise; "
        "duplicates are removed by `event_id`. Limits: "
        f"{api.max_body_bytes:,} bytes as sent, {api.max_inflated_bytes:,} bytes inflated, {api.max_events:,} events. "
        "Every route of clients answers OPTIONS with 204 and what pages of other hosts may send. What is no HTTP (400) "
        "or has too many headers (431) is answered without a body and without X-Request-Id."
    )


def _refused() -> dict[str, Any]:
    return {
        str(status): _response(
            "\n\n".join(f"`{found.error}`: {found.meaning}." for found in _REFUSALS if found.status == status),
            "Refused",
        )
        for status in sorted({outcome.status for outcome in _REFUSALS} - {404})
    }


def _post_events(summary: str, operation: str, answer: str, description: str) -> dict[str, Any]:
    responses = {"200": _response(Outcome.ACCEPTED.meaning if answer == "Accepted" else summary, answer), **_refused()}
    return {
        "summary": summary,
        "description": f"{description} A body may come in gzip, zstd, br or deflate (`Content-Encoding`); its "
        "Content-Type does not matter.",
        "operationId": operation,
        "tags": ["Events"],
        "security": [{"bearer": []}, {"basic": []}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Batch"}}},
        },
        "responses": responses,
    }


def _post_validate() -> dict[str, Any]:
    summary = "Say what would become of each event, and store nothing"
    found = _post_events(summary, "validateEvents", "Foreseen", _FORESEEN)
    return {**found, "parameters": openapi_dialects.said()}


def _ready() -> dict[str, Any]:
    found = _get("A 200 can be promised", _READY)
    why = {"description": "It cannot; `reasons` says why and what to do", "content": _content(_NOT_READY)}
    found["responses"]["503"] = why
    return found


def _get(description: str, example: object, content_type: str = "application/json") -> dict[str, Any]:
    responses = {"200": {"description": description, "content": _content(example, content_type)}}
    return {"summary": description, "tags": ["Health"], "responses": responses}


def _content(example: object, content_type: str = "application/json") -> dict[str, Any]:
    schema = {"type": "string"} if isinstance(example, str) else _OBJECT
    return {content_type: {"schema": schema, "example": example}}


def _response(description: str, schema: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": {
            "X-Request-Id": {"schema": {"type": "string"}, "description": "Id of the request in logs and Kafka"}
        },
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _schemas(api: Settings) -> dict[str, Any]:
    return {
        "Batch": {
            "type": "object",
            "required": ["events"],
            "properties": {
                "sent_at": {**_TIME, "description": "Device clock when the batch is sent; corrects `occurred_at`"},
                "events": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": api.max_events,
                    "items": {"$ref": "#/components/schemas/Event"},
                },
            },
            "example": {"sent_at": "2026-11-22T10:00:01.000Z", "events": [_EVENT_EXAMPLE]},
        },
        "Event": _event_schema(),
        "Accepted": _accepted_schema(),
        "Foreseen": _foreseen_schema(),
        "Refused": _refused_schema(),
    }


def _event_schema() -> dict[str, Any]:
    def text(description: str = "", **more: object) -> dict[str, Any]:
        return {"type": "string", **({"description": description} if description else {}), **more}

    identifier: dict[str, Any] = {"maxLength": 255, "minLength": 1}
    return {
        "type": "object",
        "required": ["event_name"],
        "description": "`device_id` or `user_id` is needed. Every key that is not listed is kept.",
        "properties": {
            "event_id": text("Unique per source; a retry repeats it. Derived from the bytes when absent", **identifier),
            "event_name": text(**identifier),
            "occurred_at": {**_TIME, "description": "Device clock with offset"},
            "device_id": text(maxLength=255),
            "user_id": text(maxLength=255),
            "schema_version": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
            **{name: text() for name in _TEXT_FIELDS.split()},
            "consent": _OBJECT,
            "event_properties": _OBJECT,
            "user_properties": _OBJECT,
        },
        "additionalProperties": True,
    }


def _accepted_schema() -> dict[str, Any]:
    properties = {"index": {"type": "integer"}, "event_id": {"type": "string", "nullable": True}}
    item = {"type": "object", "properties": {**properties, "reason": {"type": "string"}}}
    return {
        "type": "object",
        "required": ["accepted", "quarantined"],
        "properties": {
            "accepted": {"type": "integer", "description": "Events found good; together with `quarantined` all sent"},
            "quarantined": {"type": "array", "items": item},
        },
        "example": {"accepted": 49, "quarantined": [{"index": 7, "event_id": None, "reason": "event_name is needed"}]},
    }


def _foreseen_schema() -> dict[str, Any]:
    properties = {"index": {"type": "integer"}, "event_id": {"type": "string", "nullable": True}}
    reasons = {"type": "array", "items": {"type": "string"}}
    item = {"type": "object", "properties": {**properties, "reasons": reasons}}
    return {
        "type": "object",
        "required": ["dialect", "call", "assumed", "valid", "failed", "warnings"],
        "properties": {
            "dialect": {"type": "string", "enum": list(CALLS_OF)},
            "call": {"type": "string", "description": "As what call of the dialect the body was read"},
            "assumed": {"type": "boolean", "description": "Whether dialect and call are a guess"},
            "valid": {"type": "integer"},
            "failed": {"type": "array", "items": item},
            "warnings": {"type": "array", "items": {"type": "string"}},
        },
        "example": {
            "dialect": "v1",
            "call": "",
            "assumed": True,
            "valid": 49,
            "failed": [
                {
                    "index": 7,
                    "event_id": None,
                    "reasons": ['platform: "iOS" is not one of ios, android, web, car, server'],
                }
            ],
            "warnings": ["consent: missing in 1 of 50 events; they reach no vendor"],
        },
    }


def _refused_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["code", "error", "message"],
        "properties": {
            "code": {"type": "integer", "description": "The HTTP status again"},
            "error": {"type": "string", "enum": [outcome.error for outcome in _REFUSALS]},
            "message": {"type": "string"},
            "request_id": {"type": "string"},
        },
    }


def _security() -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The source's write key"},
        "basic": {"type": "http", "scheme": "basic", "description": "The write key as user name, no password"},
    }
