"""Logs are one JSON object per line."""

from __future__ import annotations

import json
import logging

from ingest_api.logs import JsonFormatter


def test_a_line_has_time_level_event_and_extras() -> None:
    record = logging.makeLogRecord(
        {"name": "ingest_api.x", "levelname": "INFO", "msg": "refused %s", "args": ("twice",), "request_id": "r"}
    )
    line = json.loads(JsonFormatter().format(record))
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "logger": "ingest_api.x", "event": "refused twice", "request_id": "r"}


def test_an_exception_stays_on_its_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": (type(error), error, error.__traceback__)})
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert "ValueError" in json.loads(text)["exception"]
