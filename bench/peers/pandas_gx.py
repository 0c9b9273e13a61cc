"""The drain as it is usually written, for benchmark B6: dicts into a pandas frame, Great Expectations over its columns.

It runs in the pipeline's own environment: pandas, Great Expectations and pyarrow are those of requirements.txt.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig

from bench.backlog import Job
from bench.peers.records import Drained, Envelope, envelopes, upload

ROWS = 100_000
TEXTS = ("event_id", "event_name", "user_id", "device_id", "session_id", "platform", "app_version", "os_name",
         "os_version", "device_model", "locale", "country", "library_name", "library_version")  # fmt: skip
OBJECTS = ("consent", "event_properties", "user_properties")
KNOWN = {*TEXTS, *OBJECTS, "schema_version", "occurred_at"}
NAME = r"^(?:[^\W\d_]|[$\[])(?:\w|[ .:,;$&/|+*#%!?@=()'\[\]-]){0,254}\Z"


def drain(job: Job, known: Sequence[str]) -> Drained:
    """Validate all envelopes of the topic and write them to the lake."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("events").add_dataframe_asset("events")
    whole = asset.add_batch_definition_whole_dataframe("all")
    suite = context.suites.add(gx.ExpectationSuite(name="events", expectations=_expectations(known)))
    valid = failed = size = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, frame in enumerate(_frames(job)):
            batch = whole.get_batch({"dataframe": frame})
            outcome = batch.validate(suite, result_format={"result_format": "COMPLETE"})
            bad = set(chain.from_iterable(result.result["unexpected_index_list"] for result in outcome.results))
            for name, rows in (("events", frame.drop(index=list(bad))), ("failed", frame.loc[sorted(bad)])):
                path = Path(folder) / f"{name}-{number}.parquet"
                rows.to_parquet(path, compression="zstd")
                size += upload(job, path)
            valid, failed = valid + len(frame) - len(bad), failed + len(bad)
    return Drained(valid, failed, size)


def _expectations(known: Sequence[str]) -> list[dict[str, Any]]:
    lengths = {"event_id": 255, "user_id": 255, "device_id": 255, "session_id": 255, "text": 1024}
    return [
        _expect("be_in_set", column="edge", value_set=["accepted"]),
        _expect("be_in_set", column="source_id", value_set=list(known)),
        _expect("not_be_null", column="event_name"),
        _expect("match_regex", column="event_name", regex=NAME),
        _expect("not_be_null", column="platform"),
        _expect("be_in_set", column="platform", value_set=["ios", "android", "web", "car", "server"]),
        _expect("be_in_set", column="schema_version", value_set=[1, 2]),
        _expect("be_in_set", column="has_identity", value_set=[True]),
        _expect("be_between", column="ahead_minutes", max_value=1440),
        _expect("be_between", column="json_bytes", max_value=32_767),
        *(_expect("be_in_set", column=f"{name}_is_object", value_set=[True]) for name in OBJECTS),
        *(_expect("be_between", column=f"{name}_length", max_value=most) for name, most in lengths.items()),
    ]


def _expect(kind: str, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - what the expectation takes
    return {"type": f"expect_column_values_to_{kind}", "kwargs": kwargs}


def _frames(job: Job) -> Iterator[pd.DataFrame]:
    rows: list[dict[str, Any]] = []
    for envelope in envelopes(job):
        rows += _rows(envelope)
        if len(rows) >= ROWS:
            yield _frame(rows)
            rows = []
    if rows:
        yield _frame(rows)


def _rows(envelope: Envelope) -> Iterator[dict[str, Any]]:
    body = json.loads(gzip.decompress(envelope.value))
    rejected = json.loads(envelope.headers.get("rejected", "{}"))
    for index, event in enumerate(body["events"]):
        row = {name: event.get(name) for name in (*TEXTS, "schema_version", "occurred_at")}
        row |= {name: None if event.get(name) is None else json.dumps(event[name]) for name in OBJECTS}
        row |= {f"{name}_is_object": isinstance(event.get(name), dict | None) for name in OBJECTS}
        extra = {name: value for name, value in event.items() if name not in KNOWN}
        row["extra"] = json.dumps(extra) if extra else None
        row["edge"] = "rejected" if str(index) in rejected else "accepted"
        row["source_id"] = envelope.headers["source_id"]
        row["sent_at"], row["received_at"] = body.get("sent_at"), envelope.headers["received_at"]
        yield row


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    for name in TEXTS:
        frame[name] = frame[name].astype("string")
    for name in ("occurred_at", "sent_at", "received_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601", errors="coerce")
    ahead = frame["occurred_at"] - frame["sent_at"].fillna(frame["received_at"])
    frame["ahead_minutes"] = ahead.dt.total_seconds() // 60
    frame["has_identity"] = (frame["user_id"].fillna("") + frame["device_id"].fillna("")) != ""
    frame["json_bytes"] = sum(frame[name].str.len().fillna(0) for name in (*OBJECTS, "extra"))
    frame["schema_version"] = pd.to_numeric(frame["schema_version"], errors="coerce")
    for name in ("event_id", "user_id", "device_id", "session_id"):
        frame[f"{name}_length"] = frame[name].str.len().fillna(0)
    frame["text_length"] = pd.concat([frame[name].str.len() for name in TEXTS[5:]], axis=1).max(axis=1).fillna(0)
    return frame
